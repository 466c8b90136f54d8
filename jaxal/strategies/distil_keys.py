"""DISTIL's strategies, by class and by name, and what each key of their `args` means here.

References:
  decile-team/distil at d46f0b4, `distil/active_learning_strategies`; its README calls the paper
  Kothawade et al., "DISTIL: deep diversified interactive learning".
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from jaxal import selection
from jaxal.entry import Check, at_least, flag, integer, numbers, positive, text
from jaxal.renaming import Choice, Key, Option, Refused, Table, Unread, anything
from jaxal.submodular import METRICS
from jaxal.submodular.declare import DECLARED, SHORT_NAMES


class Known(NamedTuple):
    """A strategy of DISTIL's."""

    name: str  # here
    names: tuple[str, ...]  # there, beside the name of its class
    keys: Mapping[str, Key]  # of its `args`
    required: tuple[str, ...] = ()


def _same(*names: str) -> dict[str, str]:
    """Values that are called alike in both."""
    return {name: name for name in names}


def _functions(*examples: str) -> dict[str, str]:
    """The set functions of just these further examples."""
    return _same(*(name for name in SHORT_NAMES if DECLARED[name].examples == set(examples)))


def _only(expected: str, why: str) -> Check:
    """The check of a value that can say nothing but what is done anyway."""

    def check(name: str, value: Any) -> None:
        if value != expected:
            raise ValueError(f"{name}: expected {expected!r}, got {value!r}: {why}")

    return check


def _number_or_none(name: str, value: Any) -> None:
    if value is not None:
        at_least(0.0)(name, value)


COMMON: dict[str, Key] = {
    "batch_size": Unread("", integer(1)),  # changes the time alone
    "device": Unread("without effect: JAX chooses the devices (JAX_PLATFORMS)", text),
    "loss": Refused("a function of PyTorch; strategies of `jaxal` take one of JAX"),
    "lr": Unread("without effect, as in DISTIL: this strategy takes no steps", positive),
    "verbose": Unread("", flag),
}
SCORED = COMMON | {"stream_buffer_size": Unread("", integer(1))}  # changes the memory alone
DROPOUT = SCORED | {"n_drop": Option("num_draws", integer(1))}
MAXIMIZED: dict[str, Key] = {
    "metric": Choice("metric", _same(*METRICS)),
    "optimizer": Choice(
        "optimizer",
        {
            "NaiveGreedy": "naive",
            "LazyGreedy": "lazy",
            "StochasticGreedy": "stochastic",
            "LazierThanLazyGreedy": "lazier_than_lazy",
        },
    ),
    "stopIfZeroGain": Option("stop_if_zero_gain", flag),
    "stopIfNegativeGain": Option("stop_if_negative_gain", flag),
    "verbose": Unread("", flag),
}
KINDS = _same(*selection.GRADIENT_KINDS)
SUBMOD_ARGS: dict[str, Key] = MAXIMIZED | {
    "submod": Choice("function", _functions()),
    "representation": Choice(
        "representation", {"linear": "features", **{f"grad_{kind}": kind for kind in KINDS}}
    ),
    "lambda_val": Option("lambda", at_least(0.0)),
    "feature_weights": Option("weights", numbers),
    "concave_function": Choice(
        "concave", {"logarithmic": "log", "squareRoot": "sqrt", "inverse": "inverse"}
    ),
}
_OUTSIDE = Unread("without effect, as in DISTIL, which reads it inside submod_args alone")
SUBMODULAR: dict[str, Key] = {
    **dict.fromkeys(SUBMOD_ARGS, _OUTSIDE),
    **COMMON,
    "selection_type": Unread("", _only("Full", "DISTIL selects among all rows at once")),
    "submod_args": Table(SUBMOD_ARGS, required=("submod",)),
}


def _targeted(option: str, functions: Mapping[str, str], *weights: str) -> dict[str, Key]:
    """The keys of SMI, SCG and SCMI: `option` names the function."""
    return {
        **COMMON,
        **MAXIMIZED,
        option: Choice("function", functions),
        **{weight: Option(weight, at_least(0.0)) for weight in weights},
        "lambdaVal": Option("lambda", at_least(0.0)),
        "embedding_type": Choice("embedding_type", _same("gradients", "features")),
        "gradType": Choice("representation", KINDS),
        "layer_name": Unread(
            "", _only("avgpool", "the features are the input of the last dense layer")
        ),
    }


STRATEGIES = {
    "AdversarialBIM": Known(
        "adversarial_bim",
        ("adversarial_bim",),
        COMMON
        | {
            "eps": Option("epsilon", positive),
            "stop_iterations_by_count": Option("max_steps", integer(1)),
        },
    ),
    "AdversarialDeepFool": Known(
        "adversarial_deepfool",
        ("adversarial_deepfool",),
        COMMON | {"max_iter": Option("max_steps", integer(1))},
    ),
    "BADGE": Known("badge", ("badge",), COMMON),
    "BALDDropout": Known("bald", ("bald_dropout",), DROPOUT),
    "BatchBALDDropout": Known(
        "batch_bald",
        ("batch_bald_dropout",),
        COMMON
        | {
            "n_drop": Option("num_draws", integer(1)),
            "n_samples": Option("num_samples", integer(1)),
            "mod_inject": Unread(
                "without effect: dropout is the model's; models.with_dropout adds some", text
            ),
        },
    ),
    "CoreSet": Known("core_set", ("coreset", "core_set"), COMMON),
    "EntropySampling": Known("entropy", ("entropy_sampling",), SCORED),
    "EntropySamplingDropout": Known("entropy_dropout", ("entropy_sampling_dropout",), DROPOUT),
    "FASS": Known(
        "fass",
        ("fass",),
        SUBMODULAR
        | {
            "uncertainty_measure": Choice(
                "uncertainty", _same("entropy", "least_confidence", "margin")
            ),
            "top_n": Option("top_n", integer(1)),
        },
    ),
    "GLISTER": Known(
        "glister",
        ("glister",),
        COMMON
        | {
            "lr": Option("learning_rate", positive),
            "typeOf": Choice(
                "regularizer",
                {
                    "none": "none",
                    "Rand": "random",
                    "FacLoc": "facility_location",
                    "Diversity": "diversity",
                },
            ),
            "lam": Option("strength", _number_or_none),
            "kernel_batch_size": Unread("", integer(1)),  # changes the memory alone
        },
        required=("lr",),
    ),
    "GradMatchActive": Known(
        "grad_match",
        ("gradmatch_active",),
        COMMON
        | {
            "grad_embedding": Choice("kind", KINDS),
            "omp_reg": Option("ridge", at_least(0.0)),
            "use_weights": Option("weighted", flag),
        },
    ),
    "KMeansSampling": Known(
        "k_means",
        ("kmeans_sampling",),
        COMMON
        | {
            "representation": Choice("representation", {"linear": "features", "raw": "inputs"}),
            "rand_seed": Unread("without effect: all randomness comes from one key", integer(0)),
            "kmeans_args": Table(
                {
                    "tol": Option("tolerance", at_least(0.0)),
                    "max_iter": Option("max_steps", integer(1)),
                    "n_init": Option("restarts", integer(1)),
                }
            ),
        },
    ),
    "LeastConfidenceSampling": Known(
        "least_confidence", ("least_confidence", "least_confidence_sampling"), SCORED
    ),
    "LeastConfidenceSamplingDropout": Known(
        "least_confidence_dropout", ("least_confidence_sampling_dropout",), DROPOUT
    ),
    "MarginSampling": Known("margin", ("margin_sampling",), SCORED),
    "MarginSamplingDropout": Known("margin_dropout", ("margin_sampling_dropout",), DROPOUT),
    "PartitionStrategy": Known(
        "partition",
        ("partition_strategy",),
        {
            "num_partitions": Option("num_partitions", integer(1)),
            "wrapped_strategy_class": Option("strategy", anything),
        },
        required=("wrapped_strategy_class",),
    ),
    "RandomSampling": Known("random", ("random_sampling",), COMMON),
    "SCG": Known(
        "scg",
        ("scg",),
        _targeted("scg_function", _functions("private"), "nu"),
        required=("scg_function",),
    ),
    "SCMI": Known(
        "scmi",
        ("scmi",),
        _targeted("scmi_function", _functions("query", "private"), "eta", "nu"),
        required=("scmi_function",),
    ),
    "SMI": Known(
        "smi",
        ("smi",),
        _targeted("smi_function", _functions("query"), "eta"),
        required=("smi_function",),
    ),
    "SubmodularSampling": Known(
        "submodular", ("submodular_sampling", "submod_sampling"), SUBMODULAR
    ),
}
