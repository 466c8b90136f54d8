"""DISTIL's strategies by the names and options that they have there."""

import warnings
from collections.abc import Mapping
from typing import Any, NamedTuple

from jaxal.base import Strategy
from jaxal.checks import check_name
from jaxal.renaming import Note, Renamed, check_table, in_words, rename
from jaxal.strategies.distil_keys import STRATEGIES
from jaxal.strategies.registry import make
from jaxal.submodular.declare import DECLARED

CLASSES = {name: label for label, known in STRATEGIES.items() for name in (label, *known.names)}
"""The class of DISTIL's by its own name, and by those of its config runner."""


class Translated(NamedTuple):
    """A strategy as a config names it, and what is to be said of keys without effect."""

    name: str
    options: dict[str, Any]
    notes: list[Note]


def from_distil(name: str, args: Mapping[str, Any] | None = None) -> Strategy:
    """The strategy that DISTIL calls so, with the options that it has there.

    Query, private and validation examples, which are arguments of DISTIL's constructors, are
    arguments of `acquire` and `simulate`. Warns of options without effect.

    Args:
      name: of a class, "BADGE", or as in DISTIL's configs, "entropy_sampling".
      args: as DISTIL's constructors take it. Arguments of its own beside it may stand inside:
        `typeOf` and `lam` of GLISTER, `top_n` of FASS, `use_weights` of GradMatchActive. The
        `wrapped_strategy_class` of PartitionStrategy is a class or its name.

    Returns:
      A `Strategy`; equal calls return the identical one.

    Raises:
      TypeError: a value of the wrong type.
      ValueError: an unknown name or option, with the nearest; one that is missing, out of range, or
        cannot be honoured.

    Example:
      >>> from jaxal import strategies
      >>> strategies.from_distil("BALDDropout", {"n_drop": 10}).name
      'bald'
    """
    translated = translate(name, {} if args is None else args)
    for note in in_words(translated.notes):
        warnings.warn(note, stacklevel=2)
    return make(translated.name, **translated.options)


def translate(
    name: str, args: Mapping[str, Any], path: str = "args", name_path: str = "strategy"
) -> Translated:
    """The strategy's name and options here, as a config has them.

    Args:
      name: as `from_distil`.
      args: as `from_distil`.
      path: of `args`, for messages.
      name_path: of `name`, for messages.

    Raises:
      TypeError: as `from_distil`.
      ValueError: as `from_distil`.
    """
    check_name(name_path, name, CLASSES)
    label = CLASSES[name]
    known = STRATEGIES[label]
    if label == "PartitionStrategy":
        return _partition(args, path)
    options, notes = rename(args, known.keys, path, known.required)
    finish = _FINISHED.get(label)
    if finish is not None:
        options, told = finish(options, path)
        notes += told
    return Translated(known.name, options, notes)


def _partition(args: Mapping[str, Any], path: str) -> Translated:
    """The strategy that is wrapped takes the options that are not the wrapper's."""
    check_table(path, args)
    known = STRATEGIES["PartitionStrategy"]
    own = {key: value for key, value in args.items() if key in known.keys}
    rest = {key: value for key, value in args.items() if key not in known.keys}
    options = rename(own, known.keys, path, known.required).settings
    given = options["strategy"]
    label = given.__name__ if isinstance(given, type) else given
    wrapped = translate(label, rest, path, f"{path}.wrapped_strategy_class")
    options["strategy"] = {"name": wrapped.name, **wrapped.options}
    options = {"num_partitions": 1, "shuffle": False} | options
    return Translated(known.name, options, wrapped.notes)


def _drawn(draws: int, **posterior: Any):
    """Options of a strategy of draws, whose number DISTIL takes from `n_drop`."""

    def finish(options: dict[str, Any], path: str) -> Renamed:
        number = options.pop("num_draws", draws)
        table = {"name": "mc_dropout", "num_draws": number, **posterior}
        return Renamed({**options, "posterior": table}, [])

    return finish


def _batch_bald(options: dict[str, Any], path: str) -> Renamed:
    options, notes = _drawn(40, consistent=True)(options, path)
    return Renamed({"num_samples": 1000} | options, notes)


def _glister(options: dict[str, Any], path: str) -> Renamed:
    """Without a regularizer, nothing is to be weighed; with one, DISTIL has no default."""
    strength = options.pop("strength", None)
    if options.get("regularizer", "none") == "none":
        ignored = Note(f"{path}.lam", "without effect, as in DISTIL: typeOf is 'none'")
        return Renamed(options, [] if strength is None else [ignored])
    if strength is None:
        raise ValueError(f"{path}.lam: missing; the regularizer that typeOf names needs it")
    return Renamed(options | {"strength": strength}, [])


def _grad_match(options: dict[str, Any], path: str) -> Renamed:
    return Renamed({"target": "pool", "weighted": False} | options, [])


_THERE = {"trade_off": "lambda", "ridge": "lambda", "weights": "weights", "concave": "concave"}
_THERE |= {"eta": "eta", "nu": "nu"}
"""The options of a set function here, and what they are called as `distil_keys` renames them."""


def _submodular(options: dict[str, Any], path: str) -> Renamed:
    """DISTIL has no default of lambda_val, but only of the function."""
    inside = f"{path}.submod_args"
    options = {"function": "facility_location"} | options
    if options["function"] in ("graph_cut", "log_determinant") and "lambda" not in options:
        raise ValueError(f"{inside}.lambda_val: missing; {options['function']} needs it")
    names = {"lambda": "lambda_val", "weights": "feature_weights", "concave": "concave_function"}
    return _with_function(options, inside, names)


def _targeted(options: dict[str, Any], path: str) -> Renamed:
    if options.pop("embedding_type", "gradients") == "features":
        options["representation"] = "features"
    return _with_function(options, path, {"lambda": "lambdaVal"})


def _with_function(options: dict[str, Any], path: str, names: Mapping[str, str]) -> Renamed:
    """Puts the options of the set function into its table; says which it does not read."""
    function = options["function"]
    taken = [option for option in _THERE if option in DECLARED[function].hyper]
    table = {"name": function}
    table |= {option: options[_THERE[option]] for option in taken if _THERE[option] in options}
    read = {_THERE[option] for option in taken}
    notes = [
        Note(f"{path}.{names.get(key, key)}", f"without effect, as in DISTIL: {function} has none")
        for key in options
        if key in _THERE.values() and key not in read
    ]
    rest = {key: value for key, value in options.items() if key not in _THERE.values()}
    return Renamed(rest | {"function": table if len(table) > 1 else function}, notes)


_FINISHED = {
    "BALDDropout": _drawn(10),
    "BatchBALDDropout": _batch_bald,
    "FASS": _submodular,
    "GLISTER": _glister,
    "GradMatchActive": _grad_match,
    "SCG": _targeted,
    "SCMI": _targeted,
    "SMI": _targeted,
    "SubmodularSampling": _submodular,
}
"""What cannot be said key by key: class -> (options, path of `args`) -> options and notes."""
