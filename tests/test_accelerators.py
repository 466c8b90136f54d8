"""Topologies, compilers, programs of other compilers: what needs no compiler of accelerators."""

import subprocess
import sys

import pytest
from helpers import bad_inputs
from programs import GPU

from jaxal.accelerators import Compiler, Decision, compilers, parse
from jaxal.accelerators.chips import CHIPS, target
from jaxal.accelerators.planning import peaks
from jaxal.accelerators.reading import contents
from jaxal.costs.explicit import explicit
from jaxal.costs.program import read


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
        "_by_loop",
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
