"""Strategies by name, each described by what it does, its options and its paper."""

import functools
import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, ParamSpec, TypeVar, get_args, get_origin

from jaxal import posterior, submodular
from jaxal.base import TASKS, Strategy
from jaxal.checks import check_name, check_options
from jaxal.factories import cached_factory
from jaxal.posterior import Posterior

Factory = TypeVar("Factory", bound=Callable[..., Strategy])
Options = ParamSpec("Options")
Made = TypeVar("Made")
_REGISTRY: dict[str, Callable[..., Strategy]] = {}
_SYNONYMS = {"core_log": "epig"}  # one score, published under two names
_ALIASES = {  # DISTIL's names
    "bald_dropout": "bald",
    "batch_bald_dropout": "batch_bald",
    "coreset": "core_set",
    "entropy_sampling": "entropy",
    "entropy_sampling_dropout": "entropy_dropout",
    "gradmatch_active": "grad_match",
    "kmeans_sampling": "k_means",
    "least_confidence_sampling": "least_confidence",
    "least_confidence_sampling_dropout": "least_confidence_dropout",
    "margin_sampling": "margin",
    "margin_sampling_dropout": "margin_dropout",
    "partition_strategy": "partition",
    "random_sampling": "random",
    "submod_sampling": "submodular",
    "submodular_sampling": "submodular",
}


class Description(NamedTuple):
    """What a strategy is called, what it does, what it takes, and where it comes from."""

    name: str
    summary: str  # the first line of its docstring
    options: dict[str, Any]  # option -> default
    paper: str  # the references of its docstring


def register(factory: Factory) -> Factory:
    """Registers a strategy factory under its function's name.

    Equal calls return the identical strategy, so that what was compiled for one serves the other.
    Options may be given as a config gives them: see `by_name`. A strategy that works for a
    regression says `Strategy(..., regresses=True)`; one that does not is refused there.

    Args:
      factory: hyper-parameters -> `Strategy`. The first line of its docstring, its defaults and its
        `References:` describe it.

    Returns:
      The factory, cached.
    """
    build = by_name(_named(factory))
    _REGISTRY[factory.__name__] = build
    return build  # pyright: ignore[reportReturnType]  # it has the factory's signature


def by_name(factory: Callable[Options, Made]) -> Callable[Options, Made]:
    """Caches a factory, whose options may be given as a config gives them.

    Those annotated as a `Posterior`, a `Strategy` or a `FunctionSpec` may be a name, or a table of
    the name and its options; those annotated as a tuple of these, a list of such.

    Args:
      factory: whose equal calls return the identical object.

    Returns:
      The factory, cached.
    """
    cached = cached_factory(factory)
    signature = inspect.signature(factory)
    makers = {option: _maker(taken.annotation) for option, taken in signature.parameters.items()}

    @functools.wraps(factory)
    def build(*args: Options.args, **hyper: Options.kwargs) -> Made:
        call = signature.bind(*args, **hyper)
        call.apply_defaults()
        for option, given in call.arguments.items():
            if (maker := makers[option]) is not None:
                call.arguments[option] = maker(option, given)
        return cached(*call.args, **call.kwargs)

    return build


def _named(factory: Callable[..., Strategy]) -> Callable[..., Strategy]:
    """The factory, whose strategies know its name, and whether they work for a regression."""

    @functools.wraps(factory)
    def build(*args: Any, **hyper: Any) -> Strategy:
        made = factory(*args, **hyper)
        return made._replace(name=factory.__name__, regresses=bool(made.regresses))

    return build


def names(*, task: str = "classification") -> tuple[str, ...]:
    """The names of the strategies, sorted.

    Args:
      task: all of them work for a "classification", some with their default options for a
        "regression" too; others do there if what they are made of does, as `partition` of `lcmd`.

    Raises:
      ValueError: another task.

    Example:
      >>> names(task="regression")[:4]
      ('bait', 'core_set', 'k_means', 'lcmd')
    """
    check_name("task", task, TASKS)
    found = sorted(_REGISTRY)
    return tuple(n for n in found if task == "classification" or _REGISTRY[n]().regresses)


def resolved(name: str) -> str:
    """The name here of a strategy that has another elsewhere; any other name as it is."""
    return (_ALIASES | _SYNONYMS).get(name, name)


def make(name: str, **hyper: Any) -> Strategy:
    """The strategy of that name with the given hyper-parameters, as a config gives them.

    Args:
      name: one of `names()`, or DISTIL's name for it; `core_log` is `epig`.
      **hyper: options of the strategy function of that name.

    Returns:
      A `Strategy`; equal calls return the identical one.

    Raises:
      ValueError: unknown name or option; suggests the nearest.

    Example:
      >>> make("coreset") is make("core_set")
      True
    """
    check_name("strategy", name, [*_REGISTRY, *_ALIASES, *_SYNONYMS])
    name = resolved(name)
    check_options("strategy", name, _REGISTRY[name], hyper)
    return _REGISTRY[name](**hyper)


_MAKERS: dict[type, Callable[..., Any]] = {
    Posterior: posterior.make,
    Strategy: make,
    submodular.FunctionSpec: submodular.specify,
}
"""What makes an option of that type, where it is given by name."""


def _maker(annotation: Any) -> Callable[[str, Any], Any] | None:
    """What makes an option of that type, (option, given) -> value; None of other options."""
    if get_origin(annotation) is tuple:
        one = _maker(get_args(annotation)[0])
        return one and functools.partial(_all_made, one=one)
    types = get_args(annotation) or (annotation,)
    found = next((item for item in _MAKERS.items() if item[0] in types), None)
    return found and functools.partial(_made, kind=found[0], maker=found[1])


def _made(option: str, given: Any, kind: type, maker: Callable[..., Any]) -> Any:
    """The value of an option, made if it was given by name or as a table."""
    table = {"name": given} if isinstance(given, str) else given
    if isinstance(table, Mapping) and "name" in table:
        try:
            return maker(**table)
        except ValueError as error:
            if not isinstance(given, str):
                raise
            # Without options, it is the name that is wrong: told by the option that has it.
            raise ValueError(f"{option}:{str(error).partition(':')[2]}") from error
    if not isinstance(given, kind):
        raise TypeError(
            f"{option}: expected a {kind.__name__}, its name, or a table with its name, "
            f"got {given!r}"
        )
    return given


def _all_made(option: str, given: Any, one: Callable[[str, Any], Any]) -> tuple[Any, ...]:
    """The values of an option that is a list of such."""
    if not isinstance(given, list | tuple) or isinstance(given, Strategy):
        raise TypeError(f"{option}: expected a list, got {given!r}")
    return tuple(one(option, each) for each in given)


def describe() -> list[Description]:
    """All strategies in words, from their signatures and docstrings."""
    return [_describe(name, _REGISTRY[name]) for name in names()]


def _describe(name: str, factory: Callable[..., Strategy]) -> Description:
    text = inspect.cleandoc(factory.__doc__ or "")
    options = {
        parameter.name: parameter.default
        for parameter in inspect.signature(factory).parameters.values()
        if parameter.kind is not inspect.Parameter.VAR_KEYWORD
    }
    found = re.search(r"^References:\n((?:[ ]+.*\n?)+)", text, re.MULTILINE)
    paper = " ".join(found.group(1).split()) if found else ""
    return Description(name, text.split("\n", 1)[0], options, paper)
