"""Plans of decisions, and the command `jaxal plan`."""

import pytest
from helpers import bad_inputs
from programs import GPU, compiled

from jaxal import _plan_command, accelerators
from jaxal.accelerators import Decision
from jaxal.accelerators.planning import Range, exchanges, plan
from jaxal.cli import main
from jaxal.costs.machine import Machine

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
    made = plan(decision, compiled(text=text, rows=16), 1, 1, MACHINE, MACHINE)  # a chip of two
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
        "budget": ({"budget": 101}, ValueError, r"budget: expected 1 to 100 .*, got 101"),
        "classes": ({"classes": 1}, ValueError, "classes: expected an integer >= 2"),
        "hidden": ({"hidden": -1}, ValueError, "hidden: expected an integer >= 0"),
        "dtype": ({"dtype": "int8"}, ValueError, "dtype: 'int8' is unknown"),
    }
)
def test_bad_decisions(given, error, message):
    good = {"strategy": "badge", "rows": 100, "features": 8, "budget": 10}
    with pytest.raises(error, match=f"^{message}"):
        accelerators.plan_here(Decision(**{**good, **given}))


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
