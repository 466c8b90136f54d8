"""The numeric cases of tests/conformance for the methods past DISTIL."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import cases, load_case

from jaxal import scores, selection

pytestmark = pytest.mark.slow
RULES = {
    "bait": (selection.bait, ("logits", "features", "available")),
    "cluster_margin": (selection.cluster_margin, ("scores", "clusters", "available")),
    "herding": (selection.herding, ("features", "available")),
    "lcmd": (selection.lcmd, ("features", "available")),
}
GIVEN = ("labeled", "weights")
GIVEN_MIX = ("features", "anchors", "anchor_mask")


def check(picked, case, atol=1e-4):
    np.testing.assert_array_equal(picked.rows, case["out_rows"])
    known = np.isfinite(case.get("out_scores", picked.scores))
    expected = case.get("out_scores", picked.scores)[known]
    np.testing.assert_allclose(np.asarray(picked.scores)[known], expected, rtol=1e-3, atol=atol)


@pytest.mark.parametrize("group", RULES)
def test_there_are_cases(group):
    assert cases(group).args[1]


def run(group, path):
    case, meta = load_case(path)
    rule, names = RULES[group]
    arrays = [jnp.asarray(case[f"in_{name}"]) for name in names]
    given = {name: jnp.asarray(case[f"in_{name}"]) for name in GIVEN if f"in_{name}" in case}
    assert meta["compare"] == "exact"
    check(rule(*arrays, meta["budget"], **given, **meta.get("hyper", {})), case)


@cases("bait")
def test_bait(path):
    run("bait", path)


@cases("cluster_margin")
def test_cluster_margin(path):
    run("cluster_margin", path)


@cases("herding")
def test_herding(path):
    run("herding", path)


@cases("lcmd")
def test_lcmd(path):
    run("lcmd", path)


@cases("typiclust")
def test_typiclust(path):
    case, meta = load_case(path)
    picked = selection.typiclust(
        jax.random.key(0),
        jnp.asarray(case["in_features"]),
        jnp.asarray(case["in_available"]),
        meta["budget"],
        labeled=jnp.asarray(case["in_labeled"]),
        clusters=jnp.asarray(case["in_clusters"]),
        **meta["hyper"],
    )
    check(picked, case)


@cases("gist")
def test_gist(path):
    case, meta = load_case(path)
    names = ("features", "utilities", "available")
    x, utilities, available = (jnp.asarray(case[f"in_{name}"]) for name in names)
    for setting, rows in zip(meta["settings"], case["out_rows"], strict=True):
        picked = selection.gist(x, utilities, available, meta["budget"], **setting)
        np.testing.assert_array_equal(picked.rows, rows)


@cases("drop_query")
def test_drop_query(path):
    case, meta = load_case(path)
    names = ("logits", "dropped_logits", "features", "available")
    logits, dropped, x, available = (jnp.asarray(case[f"in_{name}"]) for name in names)
    changes = jax.jit(scores.drop_query)(logits, dropped)
    np.testing.assert_array_equal(changes, case["out_score"])
    key = jax.random.key(0)
    picked = selection.drop_query(key, logits, dropped, x, available, meta["budget"]).rows
    picked = np.asarray(picked)
    candidates = set(np.flatnonzero(case["out_candidates"]).tolist())
    assert len(set(picked.tolist())) == meta["budget"] and case["in_available"][picked].all()
    if len(candidates) >= meta["budget"]:
        assert set(picked.tolist()) <= candidates
    else:
        assert candidates <= set(picked.tolist())
    if "out_rows_set" in case:
        np.testing.assert_array_equal(np.sort(picked), case["out_rows_set"])


@cases("alfa_mix")
def test_alfa_mix(path):
    case, meta = load_case(path)
    layers = sum(name.startswith("in_W") for name in case)

    def apply(x):
        for layer in range(1, layers + 1):
            x = x @ case[f"in_W{layer}"] + case[f"in_b{layer}"][None]
            x = jax.nn.relu(x) if layer < layers else x
        return x

    @jax.jit
    def of_case(features, anchors, mask):
        return scores.alfa_mix(apply, features, anchors, anchor_mask=mask, **meta["hyper"])

    found = of_case(*(jnp.asarray(case[f"in_{name}"]) for name in GIVEN_MIX))
    np.testing.assert_array_equal(found, case["out_score"])
