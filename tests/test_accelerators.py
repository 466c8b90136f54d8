"""Topologies, programs of other compilers, plans: what needs no compiler of accelerators."""

import subprocess
import sys
import textwrap

import pytest
from helpers import bad_inputs

from jaxal import _plan_command, accelerators
from jaxal.accelerators import Compiled, Compiler, Decision, compilers, parse
from jaxal.accelerators.chips import CHIPS, target
from jaxal.accelerators.planning import Range, exchanges, peaks, plan
from jaxal.accelerators.reading import contents
from jaxal.cli import main
from jaxal.costs.explicit import explicit
from jaxal.costs.machine import Machine
from jaxal.costs.program import read

GPU = textwrap.dedent("""\
    HloModule jit_decide, is_scheduled=true

    FileNames
    1 "jaxal/greedy/lazy.py"

    FunctionNames
    1 "lazy_greedy"
    2 "pick_inside"

    FileLocations
    1 {file_name_id=1 function_name_id=1 line=1 end_line=1 column=1 end_column=2}
    2 {file_name_id=1 function_name_id=2 line=2 end_line=2 column=1 end_column=2}

    StackFrames
    1 {file_location_id=1 parent_frame_id=1}
    2 {file_location_id=2 parent_frame_id=2}

    %yes (p.1: f32[8]) -> f32[8] {
      %p.1 = f32[8]{0} parameter(0)
      %exp.1 = f32[8]{0} exponential(%p.1)
      ROOT %neg.1 = f32[8]{0} negate(%exp.1)
    }

    %no (p.2: f32[8]) -> f32[8] {
      ROOT %p.2 = f32[8]{0} parameter(0)
    }

    %pick (p.3: (s32[], f32[8])) -> (s32[], f32[8]) {
      %p.3 = (s32[], f32[8]) parameter(0)
      %gte.1 = s32[] get-tuple-element(%p.3), index=0
      %gte.2 = f32[8]{0} get-tuple-element(%p.3), index=1
      %fusion.1 = pred[] fusion(%gte.1), kind=kLoop, calls=%no
      %cond.1 = f32[8]{0} conditional(%fusion.1, %gte.2, %gte.2), branch_computations={%yes, %no}
      ROOT %tuple.1 = (s32[], f32[8]) tuple(%gte.1, %cond.1)
    }

    %pick_on (p.4: (s32[], f32[8])) -> pred[] {
      %p.4 = (s32[], f32[8]) parameter(0)
      %gte.3 = s32[] get-tuple-element(%p.4), index=0
      ROOT %fusion.2 = pred[] fusion(%gte.3), kind=kLoop, calls=%no
    }

    %pass (p.5: (s32[], f32[8])) -> (s32[], f32[8]) {
      %p.5 = (s32[], f32[8]) parameter(0)
      %while.1 = (s32[], f32[8]) while(%p.5), condition=%pick_on, body=%pick, stack_frame_id=2
      %gte.4 = s32[] get-tuple-element(%while.1), index=0
      %gte.5 = f32[8]{0} get-tuple-element(%while.1), index=1
      %one = s32[] constant(4)
      %add.1 = s32[] add(%gte.4, %one)
      %all-gather-start.1 = (f32[8]{0}, f32[16]{0}) all-gather-start(%gte.5), dimensions={0}
      %all-gather-done.1 = f32[16]{0} all-gather-done(%all-gather-start.1)
      ROOT %tuple.2 = (s32[], f32[8]) tuple(%add.1, %gte.5)
    }

    %pass_on (p.6: (s32[], f32[8])) -> pred[] {
      %end = s32[] constant(30)
      %p.6 = (s32[], f32[8]) parameter(0)
      %gte.6 = s32[] get-tuple-element(%p.6), index=0
      ROOT %lt.1 = pred[] compare(%gte.6, %end), direction=LT
    }

    ENTRY %main (p.7: f32[8]) -> f32[8] {
      %p.7 = f32[8]{0} parameter(0)
      %zero = s32[] constant(0)
      %all-reduce.1 = (f32[2,3]{1,0}, s32[]) all-reduce(%p.7, %zero), to_apply=%yes
      %tuple.3 = (s32[], f32[8]) tuple(%zero, %p.7)
      %while.2 = (s32[], f32[8]) while(%tuple.3), condition=%pass_on, body=%pass, stack_frame_id=1
      ROOT %gte.7 = f32[8]{0} get-tuple-element(%while.2), index=1
    }
    """)


def compiled(**given):
    facts = {"rows": 1000, "seconds": 1.0, "arguments": 100, "temporaries": 20, "results": 3}
    return Compiled(**{**facts, "text": GPU, **given})


def test_loops_and_collectives():
    found = contents(read(GPU))
    assert [(one.kind, one.shape, one.bytes) for one in found.once] == [("all-reduce", (2, 3), 28)]
    passes, picks = found.loops
    assert (passes.written_by, passes.inside, passes.trips, passes.counted) == (
        "lazy_greedy",
        (),
        None,
        8,
    )
    assert [(one.kind, one.numbers, one.bytes) for one in passes.collectives] == [
        ("all-gather", 16, 64)
    ]
    assert (picks.written_by, picks.inside, picks.counted) == (
        "pick_inside",
        ("lazy_greedy",),
        None,
    )
    # A fusion, the dearer way with two operations, and a fusion in the condition.
    assert picks.kernels == 4
    assert passes.kernels == 3  # two additions and comparisons, and what is sent
    assert [one.numbers for one in found.collectives] == [6, 16]


def test_counts_are_written_where_they_are_seen():
    program = explicit(read(GPU))
    loop = program.computations["main"]["while.2"]
    assert loop.attribute("known_trip_count") == "8"  # 0, 4, ... 28
    assert program.computations["pass"]["while.1"].attribute("known_trip_count") is None


def test_fusions_inside_fusions_are_seen_through():
    text = """\
%inner (a.1: f32[100,4], a.2: s32[]) -> f32[2,4] {
  %a.1 = f32[100,4]{1,0} parameter(0)
  %a.2 = s32[] parameter(1)
  ROOT %slice.1 = f32[2,4]{1,0} dynamic-slice(%a.1, %a.2), dynamic_slice_sizes={2,4}
}

%outer (b.1: s32[], b.2: f32[100,4]) -> f32[2,4] {
  %b.1 = s32[] parameter(0)
  %b.2 = f32[100,4]{1,0} parameter(1)
  %fusion.1 = f32[2,4]{1,0} fusion(%b.2, %b.1), kind=kLoop, calls=%inner
  ROOT %neg.1 = f32[2,4]{1,0} negate(%fusion.1)
}

ENTRY %main (c.1: s32[], c.2: f32[100,4]) -> f32[2,4] {
  %c.1 = s32[] parameter(0)
  %c.2 = f32[100,4]{1,0} parameter(1)
  ROOT %fusion.2 = f32[2,4]{1,0} fusion(%c.1, %c.2), kind=kOutput, calls=%outer
}
"""
    lines = explicit(read(text)).computations["outer"]
    assert [one.opcode for one in lines.values()] == ["parameter"] * 2 + ["dynamic-slice", "negate"]
    assert lines["fusion.1"].operands == ("b.2", "b.1")


def test_products_of_a_library_are_products():
    text = """\
ENTRY %main (a: f32[4,8], b: f32[8,3]) -> (f32[4,3], s8[64]) {
  %a = f32[4,8]{1,0} parameter(0)
  %b = f32[8,3]{1,0} parameter(1)
  ROOT %gemm = (f32[4,3]{1,0}, s8[64]{0}) custom-call(%a, %b), custom_call_target="__cublas$gemm"
}
"""
    (product,) = list(explicit(read(text)).computations["main"].values())[2:]
    assert product.opcode == "dot" and product.numbers == 12


@pytest.mark.parametrize(
    ("text", "machine", "chips", "written"),
    [
        ("v5e:8x8", "v5e", 64, "v5e:8x8"),
        ("v4:2x2x1", "v4", 4, "v4:2x2x1"),
        ("h100:8", "h100", 8, "h100:8"),
        ("h100x8", "h100", 8, "h100:8"),
    ],
)
def test_topologies(text, machine, chips, written):
    topology = parse("topology", text)
    assert (topology.machine, topology.chips, str(topology)) == (machine, chips, written)
    assert topology.chip is CHIPS[machine]


def test_chips_by_number_need_no_shape():
    assert parse("devices", "v5ex64", shaped=False).chips == 64


@bad_inputs(
    {
        "no shape": ("v5e", "topology: expected a machine and how many, as in v5e:8x8"),
        "empty": ("", "topology: expected a machine and how many"),
        "unknown": ("v5f:8x8", "topology: machine: 'v5f' is unknown; did you mean 'v5p'"),
        "axes": ("v5e:8", "topology: expected 2 axes of v5e, as in v5e:2x4, got 'v5e:8'"),
        "too many axes": ("h100:2x4", "topology: expected 1 axes of h100, as in h100:8"),
        "number of chips": ("v5ex64", "topology: expected 2 axes of v5e"),
        "none": ("h100:0", "topology: expected at least one chip on each axis, got 'h100:0'"),
    }
)
def test_bad_topologies(given, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        parse("topology", given)


def test_targets_are_of_their_cards():
    for name, chip in CHIPS.items():
        if chip.compiler == "cuda":
            assert f"device_memory_size: {chip.memory}\n" in target(name)
            assert name.upper() in target(name)


def test_peaks_are_of_each_device():
    assert peaks(CHIPS["v4"]).bandwidth == CHIPS["v4"].bandwidth / 2
    assert peaks(CHIPS["v5e"], "bfloat16").flops == 6 * peaks(CHIPS["v5e"]).flops


MACHINE = Machine(flops=1e12, bandwidth=1e11, launch=1e-3, link=1e10)


def test_a_plan():
    decision = Decision("core_set", 1000, 8, 20)
    made = plan(decision, compiled(), 2, 123, MACHINE, MACHINE)
    assert made.fits and made.chips == 2 and made.seconds is not None
    assert 0 < 2 * made.seconds.least <= made.seconds.most
    assert made.passes == (1, 1)  # the loop counts
    assert [(one.loop, one.count, one.bytes) for one in exchanges(made.compiled)] == [
        (None, 1, 28),
        ("lazy_greedy", 1, 64),
    ]
    assert not made._replace(memory=122).fits


def test_loops_that_end_as_the_data_want_are_passes():
    text = GPU.replace("direction=LT", "direction=NE")
    decision = Decision("core_set", 1000, 8, 512)
    made = plan(decision, compiled(text=text, rows=8), 1, 1, MACHINE, MACHINE)
    # One before, and a look that finds nothing more; half and twice of 512 / 256, as expected.
    assert made.passes == (2 + 1, 2 + 4)
    few = plan(decision._replace(budget=20), compiled(text=text), 1, 1, MACHINE, MACHINE)
    assert made.seconds and few.seconds and made.seconds.least > few.seconds.least


def test_passes_are_printed_from_the_least_to_the_most():
    made = plan(Decision("core_set", 1000, 8, 20), compiled(), 2, 123, MACHINE, MACHINE)
    for passes, words in {(81.4, 316.0): "81 to 316 over the pool", (3.0, 3.0): "3"}.items():
        assert dict(_plan_command._lines(made._replace(passes=Range(*passes))))["passes"] == words


def test_what_does_not_fit_has_no_time():
    made = plan(
        Decision("core_set", 1000, 8, 20),
        compiled(text="", refused="RESOURCE_EXHAUSTED: too much"),
        2,
        1000,
        MACHINE,
        MACHINE,
    )
    assert not made.fits and made.seconds is None and made.exchanges == ()


@bad_inputs(
    {
        "strategy": ({"strategy": "badges"}, ValueError, "strategy: 'badges' is unknown"),
        "option": ({"options": {"block": 1}}, ValueError, "strategy badge: option 'block' is"),
        "rows": ({"rows": 0}, ValueError, "rows: expected an integer >= 1"),
        "features": ({"features": 1.5}, TypeError, "features: expected an integer"),
        "budget": ({"budget": 101}, ValueError, r"budget: expected 1 to 100 \(the rows\), got 101"),
        "classes": ({"classes": 1}, ValueError, "classes: expected an integer >= 2"),
        "hidden": ({"hidden": -1}, ValueError, "hidden: expected an integer >= 0"),
        "dtype": ({"dtype": "int8"}, ValueError, "dtype: 'int8' is unknown"),
    }
)
def test_bad_decisions(given, error, message):
    good = {"strategy": "badge", "rows": 100, "features": 8, "budget": 10}
    with pytest.raises(error, match=f"^{message}"):
        accelerators.plan_here(Decision(**{**good, **given}))


@pytest.mark.parametrize(
    ("name", "command"), [("tpu", r'"jax\[tpu\]"'), ("cuda", r'"jax\[cuda12\]"')]
)
def test_a_compiler_that_is_missing_is_named(name, command, monkeypatch):
    monkeypatch.setitem(
        compilers._PLUGINS, name, (("no.such_module",), compilers._PLUGINS[name][1])
    )
    with pytest.raises(
        ValueError, match=f"^topology: the compiler .* not installed: pip .*{command}"
    ):
        Compiler(name)


WORDS = ["plan", "entropy", "--rows", "1e3", "--features", "8", "--budget", "10"]


@pytest.mark.slow
def test_plan_by_arithmetic(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    assert main([*WORDS, "--devices", "h100x2", "--dtype", "bfloat16"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "entropy on h100x2, by arithmetic: 10 of 1,000 x 8 bfloat16, 10 classes" in out
    assert "chips 2, with 79.1 GiB each fits yes" in out
    assert "the largest all-gather of 20 passes 1 time" in out


@pytest.mark.slow
def test_plan_here(capsys):
    assert main([*WORDS, "--hidden", "4"]) == 0
    assert "chips 8, with" in " ".join(capsys.readouterr().out.split())


@bad_inputs(
    {
        "rows": (["--rows", "many"], "rows: expected a whole number, as 1000 or 1e9, got 'many'"),
        "half": (["--budget", "1.5"], "budget: expected a whole number"),
        "infinite": (["--rows", "inf"], "rows: expected a whole number"),
        "topology": (["--topology", "v5e"], "topology: expected a machine and how many"),
        "devices": (["--devices", "8"], "devices: expected a machine and how many"),
        "option": (["--set", "block"], "expected KEY=VALUE"),
    }
)
def test_bad_command(given, message, capsys):
    assert main([*WORDS, *given]) == 2
    out, err = capsys.readouterr()
    assert err.startswith(f"jaxal: error: {message}") and not out


@pytest.mark.slow
def test_a_process_that_breaks_down_is_told_with_its_last_words(monkeypatch):
    start, ways = subprocess.Popen, ["import sys; sys.exit('no luck')", "exit(3)"]

    def broken(command, **given):
        return start([sys.executable, "-c", ways.pop(0)], **given)

    monkeypatch.setattr(subprocess, "Popen", broken)
    decision, topology = Decision("random", 100, 8, 10), parse("topology", "h100:1")
    with Compiler("cpu") as compiler:
        with pytest.raises(RuntimeError, match=r"h100:1 ended \(1\): no luck"):
            compiler.compile(decision, topology)
        with pytest.raises(RuntimeError, match=r"h100:1 ended \(3\)"):  # another process
            compiler.compile(decision, topology)
