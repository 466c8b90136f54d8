"""The numeric cases in tests/conformance, made by running the reference systems."""

import functools
import inspect
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import cases, keys, load_case, table_model

import jaxal
from jaxal import report, scores, selection, strategies
from jaxal.selection._partitions import ends_in_order
from jaxal.submodular.registry import FUNCTIONS
from jaxal.training.learner import is_saturated

pytestmark = pytest.mark.slow


def everything(rows):
    return jnp.ones(rows, bool)


def check_scores(case, found):
    for name, score in found.items():
        expected = case.get(f"out_{name}", score)  # a case of ties has orders alone
        np.testing.assert_allclose(score, expected, rtol=1e-4, atol=2e-5, err_msg=name)
        order = case.get(f"out_order_{name}")
        if order is not None:
            sign = -1 if name == "margin" else 1
            score = jnp.asarray(sign * np.asarray(score))
            picked = selection.take_top(score, everything(len(score)), len(order))
            np.testing.assert_array_equal(picked.rows, order, err_msg=name)


@cases("pointwise")
def test_pointwise(path):
    case, _ = load_case(path)
    if "in_pool_mc_log_probs" in case:
        pool, targets = case["in_pool_mc_log_probs"], case["in_target_mc_log_probs"]
        found = jax.jit(scores.epig)(pool, targets)
        np.testing.assert_allclose(found, case["out_epig"], rtol=1e-4, atol=2e-5)
        return
    draws = case.get("in_mc_log_probs")
    logits = case["in_logits"] if "in_logits" in case else None
    if draws is None and logits is None:
        logits = jnp.log(jnp.asarray(case["in_probs"]))

    @jax.jit
    def of_case(draws, logits):
        several = {}
        if draws is not None:
            logits = scores.predictive(draws)
            several = {
                "bald": scores.bald(draws),
                "variation_ratio": scores.variation_ratio(draws),
                "mean_std": scores.mean_std(draws),
            }
        return several | {
            "entropy": scores.entropy(logits),
            "least_confidence": scores.least_confidence(logits),
            "margin": -scores.margin(logits),
        }

    check_scores(case, of_case(draws, logits))


@cases("core_set")
def test_core_set(path):
    case, meta = load_case(path)
    pool, labelled = case["in_unlabeled"], case["in_labeled"]
    centers = jnp.asarray(labelled) if len(labelled) else None
    budget = len(case["out_order"])
    picked = selection.k_center(jnp.asarray(pool), everything(len(pool)), budget, centers=centers)
    rows = np.asarray(picked.rows)
    assert sorted(set(rows.tolist())) == sorted(rows.tolist())
    nearest = np.full(len(pool), np.inf)
    for center in labelled.astype(np.float64):
        nearest = np.minimum(nearest, np.linalg.norm(pool - center, axis=1))
    radius = []
    for row in rows:
        away = np.linalg.norm(pool - pool[row].astype(np.float64), axis=1)
        nearest = np.minimum(nearest, away)
        radius.append(nearest.max())
    atol = 1e-5 * meta.get("scale", 1.0)
    np.testing.assert_allclose(radius, case["out_radius"], rtol=1e-4, atol=atol)


@cases("grademb")
def test_gradient_embedding(path):
    case, _ = load_case(path)

    @functools.partial(jax.jit, static_argnames="kind")
    def found(logits, features, labels, kind):
        points = selection.gradient_embedding(logits, features, labels=labels, kind=kind)
        return points.dense(), points.inner(points), points.squared_distance(points)

    given = case["in_logits"], case["in_features"], case.get("in_labels")
    for kind in selection.GRADIENT_KINDS:
        dense, inner, squared = found(*given, kind=kind)
        size = max(1.0, float(np.abs(case[f"out_inner_{kind}"]).max()))
        np.testing.assert_allclose(dense, case[f"out_emb_{kind}"], rtol=1e-4, atol=1e-5 * size**0.5)
        np.testing.assert_allclose(inner, case[f"out_inner_{kind}"], rtol=1e-4, atol=1e-5 * size)
        np.testing.assert_allclose(squared, case[f"out_sqdist_{kind}"], rtol=1e-3, atol=1e-4 * size)


@cases("badge")
def test_badge(path):
    case, meta = load_case(path)
    points = selection.gradient_embedding(
        jnp.asarray(case["in_logits"]), jnp.asarray(case["in_features"])
    )
    runs, rows = 60, len(case["in_logits"])

    @jax.jit
    @jax.vmap
    def pick(key):
        return selection.badge(
            key, points.residuals, points.features, everything(rows), meta["budget"]
        ).rows

    picked = np.asarray(pick(keys(runs)))
    assert (picked[:, 0] == case["out_first"][0]).all()
    dense = np.asarray(points.dense(), np.float64)
    squared = ((dense[:, None] - dense[None]) ** 2).sum(-1)
    potential = np.mean([squared[:, one].min(1).sum() for one in picked])
    mean, std = case["out_potential_mean_400"][0], case["out_potential_std_400"][0]
    assert abs(potential - mean) < 4 * std * np.sqrt(1 / runs + 1 / 400)


FASS = {  # an uncertainty and a function of its own for every case
    "all_pool": [("entropy", "facility_location"), ("margin", "disparity_min")],
    "cosine": [("least_confidence", "log_determinant"), ("margin", "feature_based")],
    "euclidean": [("entropy", "graph_cut"), ("least_confidence", "disparity_sum")],
}


@cases("fass")
def test_fass(path):
    case, meta = load_case(path)
    options = meta["params"]
    for uncertainty, function in FASS[meta["case"]]:
        hyper = {"graph_cut": "trade_off", "log_determinant": "ridge"}
        strategy = strategies.fass(
            uncertainty=uncertainty,
            function=function,
            top_n=options["top_n"],
            metric=options["metric"],
            **{hyper[function]: options["lambda_val"]} if function in hyper else {},
        )
        picked = jaxal.acquire(
            keys(1)[0],
            strategy,
            table_model(case["in_logits"], case["in_features"]),
            {},
            jnp.arange(options["N"]),
            options["budget"],
        )
        name = f"{uncertainty}_{function}"
        orders = [case[f"out_order_{name}"], case.get(f"out_order_alt_{name}")]
        assert picked.rows.tolist() in [o.tolist() for o in orders if o is not None]


TARGETED = {
    "cosine_bias_linear": ["fl2mi", "logdetmi", "gccg"],
    "euclidean_linear": ["com", "flcg", "logdetcmi"],
}


@cases("targeted")
def test_targeted(path):
    case, meta = load_case(path)
    options, groups = meta["params"], ("unlabeled", "query", "private")
    logits, features = (
        np.concatenate([case[f"in_{group}_{what}"] for group in groups])
        for what in ("logits", "features")
    )
    ends = np.cumsum([len(case[f"in_{group}_logits"]) for group in groups])
    pool, query, private = np.split(np.arange(ends[-1]), ends[:-1])
    examples = {
        "query": (jnp.asarray(query), case["in_query_labels"]),
        "private": (jnp.asarray(private), case["in_private_labels"]),
    }
    hyper = {name: options[name] for name in ("eta", "nu")}
    hyper |= dict.fromkeys(("ridge", "trade_off"), options["lambdaVal"])
    for function in TARGETED[meta["case"]]:
        taken = inspect.signature(FUNCTIONS[function]).parameters
        needs: dict[str, Any] = {need: examples[need] for need in examples if need in taken}
        make = {"query": strategies.smi, "private": strategies.scg}
        strategy = (strategies.scmi if len(needs) == 2 else make[min(needs)])(
            function=function,
            representation=options["gradType"],
            metric=options["metric"],
            **{name: value for name, value in hyper.items() if name in taken},
        )
        expected = case[f"out_order_{function}"]
        picked = jaxal.acquire(
            keys(1)[0],
            strategy,
            table_model(logits, features),
            {},
            jnp.asarray(pool),
            len(expected),
            **needs,
        )
        np.testing.assert_array_equal(picked.rows, expected, err_msg=function)


@cases("partition")
def test_partition(path):
    case, _ = load_case(path)
    in_order = jax.jit(ends_in_order, static_argnums=1)
    for (rows, parts, budget), ends, budgets in zip(
        case["in_config"].tolist(),
        case["out_splits"],
        case["out_budgets"],
        strict=True,
    ):
        found, picked = in_order(rows, parts, budget)
        np.testing.assert_array_equal(found, ends[:parts])
        np.testing.assert_array_equal(np.diff(picked, prepend=0), budgets[:parts])


@cases("training")
def test_training(path):
    case, _ = load_case(path)
    if "in_config" in case:
        check_stopping(case)
        return
    curves = {name.rsplit("_", 1)[1] for name in case if name.startswith("in_targets")}
    for curve in curves:
        strategy, random = (
            (case[f"in_{who}_points_{curve}"], case[f"in_{who}_accuracy_{curve}"])
            for who in ("strategy", "random")
        )
        targets = case[f"in_targets_{curve}"]
        for who, given in (("strategy", strategy), ("random", random)):
            found = [report.labels_to(*given, target) for target in targets]
            np.testing.assert_allclose(found, case[f"out_labels_{who}_{curve}"], rtol=1e-4)
        for where, at in (("targets", targets), ("strategy_points", None)):
            found = report.label_efficiency(*strategy, *random, at)
            expected = case[f"out_efficiency_at_{where}_{curve}"]
            np.testing.assert_allclose(found, expected, rtol=1e-4)


def check_stopping(case):
    saturated = jax.jit(is_saturated)
    for row, expected in zip(case["in_windows"], case["out_window_saturated"], strict=True):
        size = int(row[1])
        window = np.asarray(row[2 : 2 + size], np.float32)
        assert saturated(window, np.int32(size), float(row[0])) == expected
    given = zip(case["in_accuracy"], case["in_config"], case["out_epochs"], strict=True)
    for accuracies, (cap, window, min_gain, enough), expected in given:
        epochs, seen = 0, np.zeros(int(window), np.float32)
        while epochs < cap:
            seen = np.append(seen[1:], accuracies[epochs])
            epochs += 1
            if accuracies[epochs - 1] >= enough:
                break
            if saturated(seen.astype(np.float32), np.int32(epochs), float(min_gain)):
                break
        assert epochs == expected
