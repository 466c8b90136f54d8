"""What decisions cost, from their compiled programs."""

import pathlib
import re
import textwrap

import jax
import jax.numpy as jnp
import pytest
from bad_values import INTEGER, OTHERS, but, check_refused, each, refused, tables
from test_accelerator_compiler import NOT_ONCE_A_PICK

import jaxal
from jaxal import costs, targets
from jaxal.costs.explicit import explicit
from jaxal.costs.loops import PICKS, STEPS, OpenLoop, Sizes, steps
from jaxal.costs.machine import SERIAL
from jaxal.costs.program import read, trips_of
from jaxal.costs.work import work_of
from jaxal.greedy.inside import Rule
from jaxal.greedy.lazy import lazy_greedy

MACHINE = jaxal.Machine(flops=1e9, bandwidth=1e8, launch=1e-3, vector=1e7, link=1e6)
TEXT = textwrap.dedent("""\
    %squared (a: f32[100]) -> f32[100] {
      %a = f32[100]{0} parameter(0)
      %exp = f32[100]{0} exponential(%a)
      ROOT %mul = f32[100]{0} multiply(%exp, %a)
    }

    %step (s: (s32[], f32[100])) -> (s32[], f32[100]) {
      %s = (s32[], f32[100]) parameter(0)
      %i = s32[] get-tuple-element(%s), index=0
      %v = f32[100]{0} get-tuple-element(%s), index=1
      %fused = f32[100]{0} fusion(%v), kind=kLoop, calls=%squared
      ROOT %t = (s32[], f32[100]) tuple(%i, %fused)
    }

    %goes_on (c: (s32[], f32[100])) -> pred[] {
      %c = (s32[], f32[100]) parameter(0)
      ROOT %yes = pred[] constant(true)
    }

    ENTRY %main (x: f32[4,8], y: f32[8,3], z: (s32[], f32[100])) -> f32[8,3] {
      %x = f32[4,8]{1,0} parameter(0)
      %y = f32[8,3]{1,0} parameter(1)
      %z = (s32[], f32[100]) parameter(2)
      %dot = f32[4,3]{1,0} dot(%x, %y), lhs_contracting_dims={1}, rhs_contracting_dims={0}
      %loop = (s32[], f32[100]) while(%z), condition=%goes_on, body=%step
      ROOT %all = f32[8,3]{1,0} all-gather(%dot), dimensions={0}
    }
    """)


def test_the_work_of_a_program():
    loops = []

    def trips(loop):
        loops.append(loop)
        return 5.0

    work = work_of(explicit(read(TEXT)), MACHINE, trips)
    assert work.flops == 2 * 4 * 3 * 8
    assert work.operations == 5 * 100 * (8 + 1)
    assert work.moved == 4 * (32 + 24 + 12) + 5 * 4 * 200
    assert work.sent == 4 * 24
    assert work.steps == 7
    # The product and what is fused are as slow as their bytes and operations, sending as the link.
    expected = 7e-3 + 272 / 1e8 + 5 * 900 / 1e7 + 96 / 1e6
    assert work.seconds == pytest.approx(expected)
    (loop,) = loops
    assert (loop.entered, loop.rows, loop.outermost, loop.writers) == (1.0, 100, True, ())


def test_attributes_are_read_whatever_their_names_begin_with():
    loop = """\
    ENTRY %main (z: s32[]) -> s32[] {
      %loop = s32[] while(%z), condition=%next_on, body=%n.2, index=0, known_trip_count={"n":"8"}
    }
    """
    (one,) = read(textwrap.dedent(loop)).computations["main"].values()
    named = {name: one.attribute(name) for name in ("condition", "body", "index", "other")}
    assert named == {"condition": "next_on", "body": "n.2", "index": "0", "other": None}
    assert trips_of(one) == 8


def test_ways_are_taken_as_often_as_each_other():
    text = TEXT.replace(
        "while(%z), condition=%goes_on, body=%step",
        "conditional(%x, %z, %z), branch_computations={%step, %goes_on}",
    )
    assert work_of(read(text), MACHINE, lambda loop: 1.0).operations == 450


def test_one_number_after_the_other_is_dear_on_a_cpu():
    serial = MACHINE._replace(prices=SERIAL)
    assert work_of(read(TEXT), serial, lambda loop: 1.0).operations == 100 * (SERIAL.dear + 1)


def test_what_is_near_at_hand_is_read_faster():
    cached = MACHINE._replace(cache=100.0, near=1e9)
    assert MACHINE.moving(300.0) == pytest.approx(3e-6)
    assert cached.moving(100.0) == pytest.approx(1e-7)
    assert cached.moving(300.0) == pytest.approx(3e-7 + 2e-6)


def open_loop(*writers, entered=1.0, shapes=((4, (1000, 8)),), nested=None):
    return OpenLoop(writers, entered, shapes, nested or {}, True)


SIZES = Sizes(rows=1000, budget=512, labeled=600)


def test_steps_of_loops():
    assert steps(SIZES, open_loop("lazy_greedy")) == 1 + 512 / 256
    assert steps(SIZES._replace(passes=2.0), open_loop("lazy_greedy")) == 1 + 2 * 512 / 256
    assert steps(SIZES, open_loop("_by_loop", entered=4.0)) == 1 + 512 / 4
    assert steps(SIZES, open_loop("_heaviest")) == 2  # 1,112 clusters, 1,024 at a time
    moves = steps(SIZES, open_loop("lloyd", "_k_means"))
    assert 2 * steps(SIZES, open_loop("lloyd", "_k_means", "one_a_cluster")) == moves
    assert steps(SIZES, open_loop("of a user")) == steps(SIZES, open_loop()) == 512


def test_passes_of_set_functions_are_of_blocks():
    """40 examples to compare with, or all 1,000: 4 blocks of 250."""

    def passes(width, **more):
        inside = (1, (250,)), (4, (250, width)), (4, (512,))
        loop = open_loop("lazy_greedy", "block_lazy", nested={"_by_loop": inside}, **more)
        return steps(SIZES, loop)

    assert passes(40) == 1 + 4
    assert 1 + 2 * 4 < passes(1000) < 1 + 8 * 4
    # Of rows that 4 devices share each sees its own.
    shared = open_loop(
        "lazy_greedy", "block_lazy", shapes=((4, (250,)),), nested={"_by_loop": ((1, (250,)),)}
    )
    assert steps(SIZES._replace(devices=4), shared) == 1 + 4


@pytest.mark.parametrize("for_gpu", [False, True])
def test_picks_inside_a_block_are_known_by_the_writer_of_their_loop(monkeypatch, for_gpu):
    """Those of a loop that is not known are all taken to be made in every pass."""
    monkeypatch.setattr(targets, "_platform", "gpu" if for_gpu else "cpu")
    rule = Rule(
        bounds=lambda scores: scores,
        load_block=lambda scores, rows: scores[rows],
        scores=lambda block: block,
        pick=lambda block, position: block,
        flush=lambda scores, block, rows: scores,
    )

    def decide(scores, available):
        return lazy_greedy(rule, scores, available, 2, block_size=4)[0]

    compiled = jax.jit(decide).lower(jnp.ones(6), jnp.ones(6, bool)).compile()
    program = read(compiled.as_text() or "")
    loops = [one for lines in program.computations.values() for one in lines.values()]
    writers = {program.writers_of(one)[:1] for one in loops if one.opcode == "while"}
    assert writers >= {("lazy_greedy",), (PICKS[for_gpu],)}


def test_loops_are_of_functions_that_there_are():
    package = pathlib.Path(jaxal.__file__).parent
    defined = {
        name
        for path in package.rglob("*.py")
        for name in re.findall(r"^\s*(?:def|class) (\w+)", path.read_text(), re.MULTILINE)
    }
    named = {part for name in [*STEPS, *NOT_ONCE_A_PICK] for part in name.split(".")}
    assert named - {"<locals>", "<lambda>"} <= defined


def test_an_estimate():
    made = jaxal.estimate("margin", 64, 4, 3, machine=MACHINE)
    assert made.arguments >= 64 * (4 * 4 + 1) and made.bytes > made.arguments
    assert made.seconds > 1e-3 * made.steps > 0 and made.sent == 0


@pytest.mark.slow
def test_more_rows_cost_more():
    few, many = (jaxal.estimate("core_set", rows, 8, 20, machine=MACHINE) for rows in (500, 5000))
    assert many.seconds > few.seconds and many.bytes > 5 * few.bytes and many.flops > 5 * few.flops


@pytest.mark.slow
def test_what_a_device_can_do():
    ticks = iter(range(1000))
    found = costs.measure(lambda: float(next(ticks)))
    assert found.flops == 2 * 1024**3 and found.prices == SERIAL


def estimate(**given):
    return jaxal.estimate(**{"strategy": "margin", "rows": 6, "features": 2, "budget": 1, **given})


def machine(**given):
    return estimate(machine=MACHINE._replace(**given))


PEAK = {"a string": "1", "zero": 0.0, "negative": -1.0, "NaN": float("nan")}
NOTHING = OTHERS | {"an integer": 1}


@refused(
    tables(
        estimate=each(
            estimate,
            strategy={"unknown": "margins", "uncalled": jaxal.strategies.margin, "none": None},
            rows=INTEGER,
            features=INTEGER,
            budget=INTEGER | {"above the rows": 7},
            classes=INTEGER | {"one": 1},
            labeled=but(INTEGER, "zero", "none") | {"above the rows": 7},
            model=NOTHING,
            machine=NOTHING,
        ),
        machine=each(
            machine,
            flops=PEAK | {"none": None},
            bandwidth=PEAK,
            launch=PEAK,
            link=PEAK,
            cache=but(PEAK, "zero"),
            prices=NOTHING | {"none": None},
        ),
    )
)
def test_bad_inputs(call, argument):
    check_refused(call, argument)
