"""How large compiled programs are: on a CPU, a program compiles for about 11 ms a fusion.

`python tests/test_fusions.py` prints a new table, compiled as the tests are.
"""

import functools
import os

import conftest  # noqa: F401, before jax: how much the compiler tries
import jax
import numpy as np
import pytest

import jaxal
from jaxal import strategies
from jaxal.loop._acquire import acquire_unchecked
from jaxal.pools import place

ROWS, WIDTH, CLASSES, BUDGET = 2000, 32, 10, 50
NEEDS = {"smi": ["query"], "scg": ["private"], "scmi": ["query", "private"]}
CEILINGS = {
    "adversarial_bim": 35,
    "adversarial_deepfool": 41,
    "alfa_mix": 147,
    "badge": 78,
    "bait": 93,
    "bald": 27,
    "batch_bald": 101,
    "candidates": 88,
    "cluster_margin": 127,
    "core_mse": 33,
    "core_set": 74,
    "drop_query": 120,
    "entropy": 13,
    "entropy_dropout": 26,
    "epig": 37,
    "falcun": 46,
    "fass": 53,
    "gist": 69,
    "glister": 50,
    "grad_match": 88,
    "k_means": 87,
    "lcmd": 38,
    "least_confidence": 11,
    "least_confidence_dropout": 24,
    "margin": 13,
    "margin_dropout": 26,
    "max_herding": 83,
    "mean_std": 24,
    "partition": 94,
    "prob_cover": 156,
    "random": 6,
    "scg": 84,
    "scmi": 101,
    "smi": 83,
    "stochastic": 31,
    "submodular": 43,
    "typi_clust": 120,
    "u_herding": 101,
    "variance": 17,
    "variation_ratio": 22,
}


@functools.cache
def setting():
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(ROWS, WIDTH)).astype(np.float32)
    labels = rng.integers(0, CLASSES, ROWS).astype(np.int32)
    model = jaxal.models.mlp(CLASSES, hidden=(64,), dropout=0.3)
    variables = model.init(jax.random.key(0), jax.numpy.asarray(inputs[:1]))
    pool = place(inputs, np.where(np.arange(ROWS) < 100, labels, -1))
    some = jax.numpy.asarray(inputs[:8]), jax.numpy.asarray(labels[:8])
    return model, variables, pool, some


def fusions(name):
    """Fusions in the compiled decision of a strategy, with its default options."""
    model, variables, pool, some = setting()
    sets = jaxal.ExampleSets(**dict.fromkeys(NEEDS.get(name, []), some))
    free, key = pool.labels < 0, jax.random.key(1)
    lowered = jax.jit(acquire_unchecked, static_argnums=(1, 2, 6)).lower(
        key, strategies.make(name), model, variables, pool, free, BUDGET, sets
    )
    text = lowered.compile().as_text()
    assert text
    return text.count(" fusion(")


@pytest.mark.slow
@pytest.mark.skipif(
    os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"] == "0",
    reason="the ceilings are of quick compiling",
)
@pytest.mark.parametrize(("name", "ceiling"), CEILINGS.items())
def test_programs_stay_short(name, ceiling):
    assert fusions(name) <= ceiling


def test_every_strategy_has_a_ceiling():
    assert sorted(CEILINGS) == sorted(strategies.names())


if __name__ == "__main__":
    table = {name: fusions(name) for name in strategies.names()}
    for name, count in table.items():
        print(f'    "{name}": {count + max(2, count // 25)},')
    print("in all:", sum(table.values()))
