"""Every strategy compiled for TPU pods and H100s not at hand: `pytest -n0 -m accelerator_compiler`.

Skipped without libtpu (`pip install "jax[tpu]"`) or the CUDA plugin (`"jax[cuda12]"`). Each program
takes 2 to 40 seconds of processor time, all of them about 20 minutes.
`python tests/test_accelerator_compiler.py [SETTING ...]` prints what does not meet its bounds.
"""

import contextlib
import functools
import sys
from typing import NamedTuple

import pytest
from accelerator_exceptions import EXCEPTIONS

from jaxal import strategies
from jaxal.accelerators import CHIPS, Compiled, Compiler, Decision, missing, parse

pytestmark = pytest.mark.accelerator_compiler


class Setting(NamedTuple):
    """A pool on a topology; strategies see a hidden layer over its features, as wide as they."""

    topology: str
    rows: int
    features: int
    budget: int
    dtype: str = "float32"
    hidden: bool = True


SCALABLE = ("badge", "bald", "core_set", "entropy", "fass", "k_means", "least_confidence")
SCALABLE += ("margin", "random", "stochastic")
SETTINGS = {
    "v5e:2x2": Setting("v5e:2x2", 1 << 20, 256, 256),
    "h100:1": Setting("h100:1", 10**6, 512, 10_000),
    "v5e:8x8": Setting("v5e:8x8", 1 << 24, 256, 1_000),
    "v6e:16x16": Setting("v6e:16x16", 1 << 26, 256, 1_000),
    "h100:8": Setting("h100:8", 8 * 10**6, 512, 1_000),
    "a billion rows": Setting("v5e:8x8", 10**9, 256, 10_000, "bfloat16", hidden=False),
}
NAMES = {
    **dict.fromkeys(SETTINGS, SCALABLE),
    **dict.fromkeys(["v5e:2x2", "h100:1"], strategies.names()),
    "a billion rows": ("badge", "core_set", "entropy", "margin"),
}

SLACK = 256e6  # bytes
KERNELS = 3  # a step of a loop that runs once a pick
NOT_ONCE_A_PICK = {
    "map_batches": "once a batch of rows",
    "_in_tiles": "once a tile of rows",
    "lazy_greedy": "once a pass",
    "_refresh": "once a pass, for as many labelled rows as a tile holds",
    "d2_sampling": "once a pass",
    "fold_nearest": "once for 64 new centers",
    "fold_draws": "once a draw of the model",
    "Draws.stack": "once a draw of the model",
    "_attack": "once a step of an attack on a batch",
    "_k_means": "once a restart",
    "lloyd": "once a move of all centers",
    "_first_gains": "once a tile of rows",
    "_in_chunks": "once a chunk of rows",
    "set_rows.<locals>.local": "once a step of a search for rows",
    "Distances.of_rows.<locals>.<lambda>": "once a row of a block, where products are not exact",
    "gains": "once for some of the outcomes",
    "partition.<locals>.select": "once a part",
    "linear_map": "once a step of a refinement",
    "alfa_mix": "once a class",
    "drop_query.<locals>.classes": "once a draw of the model",
    "_around_labeled": "once for 16 labelled rows",
    "smallest_gap": "once for 64 labelled rows and as many others",
    "purity_radius": "once a halving of an interval",
    "_accept": "once a few candidates of a pass",
    "_farthest_pair": "once for 64 rows",
}
"""Loops by the function that writes them; any other is held to run once a pick."""


def temporaries(program: Compiled, most: float) -> tuple[bool, str]:
    found = f"{program.temporaries / 2**30:.3f} of {most / 2**30:.3f} GiB"
    return program.refused is None and program.temporaries <= most, found


def no_more_than_the_pool(program: Compiled) -> tuple[bool, str]:
    return temporaries(program, program.arguments + SLACK)


def half_as_much_again(program: Compiled) -> tuple[bool, str]:
    # Random picks take no argument of the pool's size.
    return temporaries(program, max(1.5 * program.arguments, SLACK))


def nothing_of_a_pools_size_is_sent(program: Compiled) -> tuple[bool, str]:
    most = max(program.contents.collectives, key=lambda one: one.numbers, default=None)
    found = f"{most.kind} of {' x '.join(map(str, most.shape))}" if most else "nothing"
    return most is None or most.numbers < program.rows // 2, found


def few_kernels_a_pick(program: Compiled) -> tuple[bool, str]:
    loops = (one for one in program.contents.loops if one.written_by not in NOT_ONCE_A_PICK)
    kernels = {one.written_by: one.kernels for one in loops}
    found = ", ".join(f"{writer} {count}" for writer, count in kernels.items())
    return max(kernels.values(), default=0) <= KERNELS, found


def fits(program: Compiled) -> tuple[bool, str]:
    found = program.refused or f"{program.bytes / 2**30:.2f} GiB"
    return program.refused is None and program.bytes <= CHIPS["v5e"].memory, found


POD = (no_more_than_the_pool, nothing_of_a_pools_size_is_sent)
BOUNDS = {
    **dict.fromkeys(SETTINGS, POD),
    "h100:1": (half_as_much_again, few_kernels_a_pick),
    "a billion rows": (fits, nothing_of_a_pools_size_is_sent),
}
CASES = [
    (bound, setting, name)
    for setting in SETTINGS
    for name in NAMES[setting]
    for bound in BOUNDS[setting]
]


@contextlib.contextmanager
def compiling():
    """A function (setting, strategy) -> `Compiled`, which compiles each once."""
    with contextlib.ExitStack() as started:

        @functools.cache
        def compiler(name):
            return started.enter_context(Compiler(name))

        @functools.cache
        def compile_once(setting, name):
            topology, rows, features, budget, dtype, hidden = SETTINGS[setting]
            width = features if hidden else 0
            decision = Decision(name, rows, features, budget, dtype=dtype, hidden=width)
            where = parse("topology", topology)
            return compiler(where.chip.compiler).compile(decision, where)

        yield compile_once


@pytest.fixture(scope="module")
def compiled():
    with compiling() as function:
        yield function


def needed(setting):
    """The command that installs the compiler of a setting, None if it is there."""
    return missing(parse("topology", SETTINGS[setting].topology).chip.compiler)


@pytest.mark.parametrize(
    ("bound", "setting", "name"),
    CASES,
    ids=[f"{setting}, {name}: {bound.__name__}" for bound, setting, name in CASES],
)
def test_bounds(compiled, bound, setting, name):
    if (command := needed(setting)) is not None:
        pytest.skip(f"needs {command}")
    is_met, found = bound(compiled(setting, name))
    if (bound.__name__, setting, name) in EXCEPTIONS:
        assert not is_met, f"{found}: no longer an exception"
    else:
        assert is_met, found


def test_exceptions_are_of_what_is_compiled():
    assert EXCEPTIONS.keys() <= {(bound.__name__, *case) for bound, *case in CASES}


if __name__ == "__main__":
    wanted = sys.argv[1:] or list(SETTINGS)
    with compiling() as compiled_once:
        for bound, setting, name in CASES:
            if setting in wanted and needed(setting) is None:
                is_met, found = bound(compiled_once(setting, name))
                if not is_met:
                    print(
                        f'    ("{bound.__name__}", "{setting}", "{name}"): "{found}",', flush=True
                    )
