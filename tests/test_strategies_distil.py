"""DISTIL's strategies by their names and options there."""

import warnings
from typing import Any

import pytest
from bad_values import NAN
from helpers import bad_inputs

from jaxal import strategies
from jaxal.renaming import in_words
from jaxal.strategies import from_distil
from jaxal.strategies.distil import CLASSES, translate
from jaxal.strategies.distil_keys import STRATEGIES
from jaxal.strategies.registry import _ALIASES

NEEDED = {  # what a class cannot do without
    "GLISTER": {"lr": 0.01},
    "PartitionStrategy": {"wrapped_strategy_class": "BADGE"},
    "SCG": {"scg_function": "flcg"},
    "SCMI": {"scmi_function": "flcmi"},
    "SMI": {"smi_function": "fl2mi"},
}
DRAWS = {"name": "mc_dropout", "num_draws": 7}
GRAPH_CUT = {"submod": "graph_cut", "lambda_val": 0.4}
MAXIMIZED = {
    "metric": ("euclidean", {"metric": "euclidean"}),
    "stopIfZeroGain": (True, {"stop_if_zero_gain": True}),
    "stopIfNegativeGain": (True, {"stop_if_negative_gain": True}),
    "optimizer": ("LazierThanLazyGreedy", {"optimizer": "lazier_than_lazy"}),
}
HONOURED = {  # class -> key -> its value there, and the options here
    "AdversarialBIM": {
        "eps": (0.1, {"epsilon": 0.1}),
        "stop_iterations_by_count": (9, {"max_steps": 9}),
    },
    "AdversarialDeepFool": {"max_iter": (9, {"max_steps": 9})},
    "BALDDropout": {"n_drop": (7, {"posterior": DRAWS})},
    "BatchBALDDropout": {
        "n_drop": (7, {"posterior": {**DRAWS, "consistent": True}}),
        "n_samples": (50, {"num_samples": 50}),
    },
    "EntropySamplingDropout": {"n_drop": (7, {"num_draws": 7})},
    "LeastConfidenceSamplingDropout": {"n_drop": (7, {"num_draws": 7})},
    "MarginSamplingDropout": {"n_drop": (7, {"num_draws": 7})},
    "FASS": {
        "uncertainty_measure": ("margin", {"uncertainty": "margin"}),
        "top_n": (3, {"top_n": 3}),
        "submod_args": (GRAPH_CUT, {"function": {"name": "graph_cut", "trade_off": 0.4}}),
    },
    "GLISTER": {
        "lr": (0.5, {"learning_rate": 0.5}),
        "typeOf": ("none", {"regularizer": "none"}),
    },
    "GradMatchActive": {
        "grad_embedding": ("bias", {"kind": "bias"}),
        "omp_reg": (0.5, {"ridge": 0.5}),
        "use_weights": (True, {"weighted": True}),
    },
    "KMeansSampling": {
        "representation": ("raw", {"representation": "inputs"}),
        "kmeans_args": (
            {"tol": 0.1, "max_iter": 5, "n_init": 2},
            {"tolerance": 0.1, "max_steps": 5, "restarts": 2},
        ),
    },
    "PartitionStrategy": {
        "num_partitions": (5, {"num_partitions": 5, "shuffle": False}),
        "wrapped_strategy_class": (
            "GradMatchActive",
            {"strategy": {"name": "grad_match", "target": "pool", "weighted": False}},
        ),
    },
    "SCG": {**MAXIMIZED, "nu": (0.5, {"function": {"name": "flcg", "nu": 0.5}})},
    "SCMI": {
        **MAXIMIZED,
        "eta": (0.5, {"function": {"name": "flcmi", "eta": 0.5}}),
        "nu": (0.5, {"function": {"name": "flcmi", "nu": 0.5}}),
    },
    "SMI": {
        **MAXIMIZED,
        "smi_function": ("com", {"function": "com"}),
        "eta": (0.5, {"function": {"name": "fl2mi", "eta": 0.5}}),
        "embedding_type": ("features", {"representation": "features"}),
        "gradType": ("linear", {"representation": "linear"}),
    },
    "SubmodularSampling": {
        "submod_args": (
            {"submod": "feature_based", "concave_function": "squareRoot", "metric": "cosine"},
            {"function": {"name": "feature_based", "concave": "sqrt"}, "metric": "cosine"},
        ),
    },
}


def test_all_22_classes_are_known_by_class_and_by_name():
    assert len(STRATEGIES) == 22
    for label, known in STRATEGIES.items():
        assert known.name in strategies.names()
        for name in (label, *known.names):
            args = NEEDED.get(label, {})
            assert from_distil(name, args) is from_distil(label, args)
    # The names that configs take are the same ones.
    assert all(STRATEGIES[CLASSES[name]].name == here for name, here in _ALIASES.items())


@pytest.mark.parametrize(
    ("label", "key"), [(label, key) for label, keys in HONOURED.items() for key in keys]
)
def test_keys_that_are_honoured(label, key):
    value, expected = HONOURED[label][key]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        made = from_distil(label, NEEDED.get(label, {}) | {key: value})
    translated = translate(label, NEEDED.get(label, {}) | {key: value})
    assert expected.items() <= translated.options.items() and not translated.notes
    assert made is strategies.make(translated.name, **translated.options)


@pytest.mark.parametrize("label", STRATEGIES)
def test_keys_of_time_and_memory_are_taken_silently(label):
    args = NEEDED.get(label, {})
    assert from_distil(label, args | {"batch_size": 20, "verbose": True}) is from_distil(
        label, args
    )


def test_defaults_are_those_of_distil():
    assert translate("BALDDropout", {}).options["posterior"]["num_draws"] == 10
    batch_bald = translate("BatchBALDDropout", {}).options
    assert batch_bald["posterior"] == {"name": "mc_dropout", "num_draws": 40, "consistent": True}
    assert batch_bald["num_samples"] == 1000
    assert translate("GradMatchActive", {}).options == {"target": "pool", "weighted": False}
    assert translate("PartitionStrategy", NEEDED["PartitionStrategy"]).options == {
        "num_partitions": 1,
        "shuffle": False,
        "strategy": {"name": "badge"},
    }


@pytest.mark.parametrize(
    ("here", "there"),
    {"random": "Rand", "facility_location": "FacLoc", "diversity": "Diversity"}.items(),
)
def test_regularizers_of_glister(here, there):
    options = translate("GLISTER", {"lr": 0.1, "typeOf": there, "lam": 0.5}).options
    assert options == {"learning_rate": 0.1, "regularizer": here, "strength": 0.5}


@pytest.mark.parametrize(
    ("name", "function", "option"),
    [
        ("smi", "logdetmi", "ridge"),
        ("scg", "logdetcg", "ridge"),
        ("scg", "gccg", "trade_off"),
        ("scmi", "logdetcmi", "ridge"),
    ],
)
def test_lambda_is_the_option_that_the_function_has(name, function, option):
    options = translate(name, {f"{name}_function": function, "lambdaVal": 2.0}).options
    assert options["function"] == {"name": function, option: 2.0}


def test_a_class_may_be_given_itself():
    class BADGE:
        pass

    args = {"wrapped_strategy_class": BADGE, "num_partitions": 5}
    assert from_distil("PartitionStrategy", args) is strategies.partition(
        "badge", num_partitions=5, shuffle=False
    )


UNREAD = {
    "a rate that is no option": ("badge", {"lr": 0.1}, "args.lr: .*takes no steps"),
    "a device": ("badge", {"device": "cuda"}, "args.device: .*JAX chooses"),
    "misplaced, as DISTIL's own config has it": (
        "fass",
        {"submod": "feature_based", "selection_type": "Full"},
        "args.submod: .*inside submod_args alone",
    ),
    "a weight that the function has not": (
        "SMI",
        {"smi_function": "gcmi", "eta": 2.0},
        "args.eta: .*gcmi has none",
    ),
    "a trade-off that the function has not": (
        "SubmodularSampling",
        {"submod_args": {"submod": "disparity_sum", "lambda_val": 1}},
        "args.submod_args.lambda_val: .*disparity_sum has none",
    ),
    "a strength of nothing": ("GLISTER", {"lr": 0.1, "lam": 10}, "args.lam: .*'none'"),
    "a seed of its own": ("KMeansSampling", {"rand_seed": 3}, "args.rand_seed: .*one key"),
    "a layer": ("BatchBALDDropout", {"mod_inject": "fc2"}, "args.mod_inject: .*the model's"),
}


@pytest.mark.parametrize(("name", "args", "message"), UNREAD.values(), ids=UNREAD)
def test_keys_without_effect_are_told(name, args, message):
    with pytest.warns(UserWarning, match=message) as told:
        from_distil(name, args)
    assert len(told) == 1


def test_notes_of_one_reason_are_one_line():
    notes = translate("fass", {"submod": "graph_cut", "lambda_val": 2, "lr": 0.1}).notes
    lines = in_words(notes)
    assert len(notes) == 3 and len(lines) == 2 and lines[0].startswith("args.submod, args.lambda_")


def refused(name, **args):
    return given(name, NEEDED.get(CLASSES.get(name, ""), {}) | args)


def given(name: Any, args: Any):
    return lambda: from_distil(name, args)


@bad_inputs(
    {
        "unknown": (refused("bagde"), ValueError, "strategy: 'bagde' .*mean 'badge'"),
        "of the documentation alone": (refused("baseline_sampling"), ValueError, "strategy: "),
        "no name": (refused(3), TypeError, "strategy: expected one of"),
        "no table": (given("badge", [1]), TypeError, "args: expected a table"),
        "no table to divide": (
            given("PartitionStrategy", 3),
            TypeError,
            "args: expected a table",
        ),
        "unknown key": (
            refused("BALDDropout", n_drops=3),
            ValueError,
            "args.n_drops: unknown key; did you mean 'n_drop'",
        ),
        "a key of another": (refused("badge", n_drop=3), ValueError, "args.n_drop: unknown key"),
        "a float": (refused("BALDDropout", n_drop=3.0), TypeError, "args.n_drop: .*an integer"),
        "no draws": (refused("BALDDropout", n_drop=0), ValueError, "args.n_drop: .*>= 1, got 0"),
        "NaN": (refused("AdversarialBIM", eps=NAN), ValueError, "args.eps: .*above 0, got nan"),
        "a flag in words": (
            refused("SMI", stopIfZeroGain="no"),
            TypeError,
            "args.stopIfZeroGain: expected True or False, got 'no'",
        ),
        "unknown optimizer": (
            refused("SMI", optimizer="LasyGreedy"),
            ValueError,
            "args.optimizer: 'LasyGreedy' is unknown; did you mean 'LazyGreedy'",
        ),
        "a function of another kind": (
            refused("SMI", smi_function="flcg"),
            ValueError,
            "args.smi_function: 'flcg' is unknown.* valid names: com, fl1mi",
        ),
        "no function": (
            given("SMI", {}),
            ValueError,
            "args.smi_function: missing",
        ),
        "no rate": (given("GLISTER", {}), ValueError, "args.lr: missing"),
        "no strength": (
            refused("GLISTER", typeOf="Diversity"),
            ValueError,
            "args.lam: missing",
        ),
        "of the notebooks, which is none": (
            refused("GLISTER", typeOf="rand"),
            ValueError,
            "args.typeOf: 'rand' is unknown; did you mean 'Rand'",
        ),
        "no trade-off": (
            refused("FASS", submod_args={"submod": "graph_cut"}),
            ValueError,
            "args.submod_args.lambda_val: missing; graph_cut needs it",
        ),
        "no set function": (
            refused("FASS", submod_args={"metric": "cosine"}),
            ValueError,
            "args.submod_args.submod: missing",
        ),
        "a choice of class by class": (
            refused("FASS", selection_type="PerClass"),
            ValueError,
            "args.selection_type: expected 'Full', got 'PerClass'",
        ),
        "another layer": (
            refused("SMI", layer_name="layer2"),
            ValueError,
            "args.layer_name: expected 'avgpool'",
        ),
        "a loss of PyTorch": (
            refused("badge", loss=print),
            ValueError,
            "args.loss: cannot be honoured: a function of PyTorch",
        ),
        "unknown wrapped": (
            refused("PartitionStrategy", wrapped_strategy_class="BADG"),
            ValueError,
            "args.wrapped_strategy_class: 'BADG' is unknown; did you mean 'BADGE'",
        ),
        "nothing wrapped": (
            given("PartitionStrategy", {}),
            ValueError,
            "args.wrapped_strategy_class: missing",
        ),
        "not a table of its own": (
            refused("KMeansSampling", kmeans_args=3),
            TypeError,
            "args.kmeans_args: expected a table of keys, got 3",
        ),
    }
)
def test_bad_input(call, error, message):
    with pytest.raises(error, match=f"^{message}"):
        call()
