"""Topics whose sides are a few lines of NumPy, for `tests/test_benchmarks_harness.py`."""

import subprocess
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


def starts(inputs, size, seed):
    """A process that counts for 0.2 s, and holds 64 MB."""
    code = "import time; held = bytearray(b'x') * 2**26\nwhile time.process_time() < 0.2: pass"
    subprocess.run([sys.executable, "-c", code], check=True)
    return largest(inputs, size, seed)


def drawn(inputs, size, seed):
    return np.random.default_rng(seed).choice(size["rows"], size["picks"], False)


def topic(random=False, whole=False, **sides):
    return Topic(
        title="the largest",
        sizes={"small": {"rows": 50, "picks": 5}},
        make=lambda rng, size: {"values": rng.normal(size=size["rows"])},
        sides=sides,
        quality=Quality("sum", lambda inputs, size, rows: float(inputs["values"][rows].sum())),
        work=None if whole else lambda size: Work(1e3, 1e3),
        shape=lambda size: f"{size['rows']} rows",
        random=random,
        whole=whole,
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
    "whole": topic(whole=True, ours=of(largest), starts=of(starts)),
}
