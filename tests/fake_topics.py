"""Topics whose sides are a few lines of NumPy, for `tests/test_benchmarks_harness.py`."""

import sys
import time

import numpy as np

from benchmarks.harness.topic import Quality, Side, Topic, Work


def of(function, package="numpy", imports=()):
    """A side of this environment."""
    return Side(lambda inputs, size: lambda seed: function(inputs, size, seed), package, imports)


def largest(inputs, size, seed):
    print("what a package prints is no reply")
    return np.argsort(-inputs["values"], kind="stable")[: size["picks"]]


def smallest(inputs, size, seed):
    """Worse, and slower."""
    time.sleep(0.02)
    return np.argsort(inputs["values"], kind="stable")[: size["picks"]]


def fails(inputs, size, seed):
    raise ArithmeticError("no answer")


def ends(inputs, size, seed):
    sys.exit(3)


def sleeps(inputs, size, seed):
    time.sleep(60)


def drawn(inputs, size, seed):
    return np.random.default_rng(seed).choice(size["rows"], size["picks"], False)


def topic(random=False, **sides):
    return Topic(
        title="the largest",
        sizes={"small": {"rows": 50, "picks": 5}},
        make=lambda rng, size: {"values": rng.normal(size=size["rows"])},
        sides=sides,
        quality=Quality("sum", lambda inputs, size, rows: float(inputs["values"][rows].sum())),
        work=lambda size: Work(1e3, 1e3),
        shape=lambda size: f"{size['rows']} rows",
        random=random,
    )


TOPICS = {
    "all": topic(
        ours=of(largest),
        again=of(lambda *given: largest(*given)[::-1]),
        smallest=of(smallest),
        absent=of(largest, "absent", ("a_package_that_is_not_there",)),
        left_out=of(largest, "left-out"),
        fails=of(fails),
        ends=of(ends),
        sleeps=of(sleeps),
    ),
    "random": topic(random=True, ours=of(drawn), theirs=of(drawn)),
}
