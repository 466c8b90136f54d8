"""Compiled decisions: how large they are, what devices send each other, and what each holds.

On a CPU, a program compiles for about 11 ms a fusion. `python tests/test_programs.py` prints a new
table of them, compiled as the tests are.
"""

import functools
import math
import os
import re
from typing import NamedTuple

import conftest  # noqa: F401, before jax: how much the compiler tries
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import clouds
from jax.sharding import NamedSharding

import jaxal
from jaxal import rows, strategies
from jaxal.loop._acquire import acquire_unchecked
from jaxal.pools import devices, place

# So many rows that what is the same on every device, a batch's activations or a tile of distances,
# is little of the memory. Programs are compiled for their shapes: none of them is there.
ROWS, CLASSES, BUDGET = 2**26, 3, 20
MODEL = jaxal.models.mlp(CLASSES, hidden=(8,), dropout=0.3)
NEEDS = {"smi": ["query"], "scg": ["private"], "scmi": ["query", "private"]}
COLLECTIVES = "all-gather|all-reduce|all-to-all|collective-permute|reduce-scatter"
PARTS = {  # whose options send other things than the default ones
    "partition in order": strategies.partition(shuffle=False),
    "partition, labelled rows too": strategies.partition("core_set", merge="greedi"),
}
CEILINGS = {
    "adversarial_bim": 29,
    "adversarial_deepfool": 41,
    "alfa_mix": 154,
    "badge": 95,
    "bait": 92,
    "bald": 24,
    "batch_bald": 101,
    "candidates": 82,
    "cluster_margin": 136,
    "core_mse": 34,
    "core_set": 80,
    "drop_query": 133,
    "entropy": 10,
    "entropy_dropout": 21,
    "epig": 38,
    "falcun": 48,
    "fass": 45,
    "gist": 66,
    "glister": 46,
    "grad_match": 84,
    "k_means": 98,
    "lcmd": 43,
    "least_confidence": 10,
    "least_confidence_dropout": 21,
    "margin": 10,
    "margin_dropout": 21,
    "max_herding": 86,
    "mean_std": 23,
    "partition": 112,
    "prob_cover": 168,
    "random": 6,
    "scg": 102,
    "scmi": 119,
    "smi": 91,
    "stochastic": 30,
    "submodular": 60,
    "typi_clust": 126,
    "u_herding": 99,
    "variance": 21,
    "variation_ratio": 20,
    "partition in order": 110,
    "partition, labelled rows too": 191,
}


class Program(NamedTuple):
    """What is read of a compiled decision."""

    fusions: int
    sent: list[int]  # how many numbers each collective hands on
    temporaries: int  # bytes on each device above those of arguments and results


def read(compiled):
    text, memory = compiled.as_text(), compiled.memory_analysis()
    assert text and memory is not None
    shapes = re.findall(rf"= (.*?) (?:{COLLECTIVES})(?:-start)?\(", text)
    sizes = [re.findall(r"\w+\[([\d,]*)\]", shape) for shape in shapes]
    sent = [math.prod(map(int, size.split(","))) for some in sizes for size in some if size]
    return Program(text.count(" fusion("), sent, memory.temp_size_in_bytes)


@functools.cache
def decision(name, shards, seeds=None):
    """The decision of a strategy with its default options, or of one a seed."""
    mesh = devices.make_mesh(shards) if seeds is None else devices.make_mesh(shards, seeds=2)
    over = NamedSharding(mesh, rows.SHARED)
    pool = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct((ROWS, *leaf.shape[1:]), leaf.dtype, sharding=over),
        place(np.zeros((8, 4), np.float32), None, mesh),
    )
    some = clouds(4, width=4)
    variables = MODEL.init(jax.random.key(0), jnp.zeros((1, 4)))
    sets = jaxal.ExampleSets(**dict.fromkeys(NEEDS.get(name, []), some))
    variables, sets = devices.replicate((variables, sets), mesh)
    strategy = PARTS[name] if name in PARTS else strategies.make(name)

    def decide(key, variables, pool, sets):
        free = pool.labels < 0
        return acquire_unchecked(key, strategy, MODEL, variables, pool, free, BUDGET, sets)

    key = jax.random.key(1)
    if seeds is not None:
        several = jax.tree.map(lambda leaf: jnp.stack([leaf] * seeds), variables)
        key, variables = devices.place_seeds((jax.random.split(key, seeds), several), mesh)
        decide = jax.vmap(decide, (0, 0, None, None))
    return read(jax.jit(decide).lower(key, variables, pool, sets).compile())


@pytest.fixture(scope="module", params=[*strategies.names(), *PARTS])
def name(request):
    """All tests of a strategy one after the other: they read the same two programs."""
    return request.param


@pytest.mark.slow
@pytest.mark.skipif(
    os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"] == "0",
    reason="the ceilings are of quick compiling",
)
def test_programs_stay_short(name):
    assert decision(name, 1).fusions <= CEILINGS[name]


@pytest.mark.slow
def test_nothing_of_a_pools_size_is_sent(name):
    assert max(decision(name, 8).sent, default=0) < ROWS // 2


@pytest.mark.slow
def test_memory_is_shared(name):
    assert decision(name, 1).temporaries >= 7 * decision(name, 8).temporaries


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["entropy", "core_set", "badge", "k_means", "partition"])
def test_nothing_of_a_pools_size_is_sent_for_other_seeds(strategy):
    assert max(decision(strategy, 4, seeds=4).sent, default=0) < ROWS // 2


@pytest.mark.slow
def test_what_is_sent_is_seen():
    mesh = devices.make_mesh(8)
    placed = devices.place_rows(np.zeros(1024, np.float32), mesh)
    program = jax.jit(lambda values: jax.lax.top_k(values, 5)).lower(placed).compile()
    assert max(read(program).sent) == 1024


def test_every_strategy_has_a_ceiling():
    assert sorted(CEILINGS) == sorted([*strategies.names(), *PARTS])


if __name__ == "__main__":
    every = [*strategies.names(), *PARTS]
    table = {strategy: decision(strategy, 1).fusions for strategy in every}
    for strategy, count in table.items():
        print(f'    "{strategy}": {count + max(2, count // 25)},')
    print("in all:", sum(table.values()))
