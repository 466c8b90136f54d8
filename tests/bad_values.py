"""Values of the wrong kind, and tables of calls in which one argument at a time has one of them."""

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

NAN, INF = float("nan"), float("inf")
AGREE = "leading axes must agree: "
WORDING = f"expected|is unknown|need|{AGREE}|with these variables|at most"
OTHERS = {"a string": "1", "a list": [1, 2], "an array": np.ones(2), "a table": {}}
BOUNDS = {"NaN": NAN, "infinite": INF, "negative": -1}
NO_NUMBER = OTHERS | {"none": None, "a boolean": True}
INTEGER = NO_NUMBER | BOUNDS | {"half": 1.5, "zero": 0, "an array of one": np.array(4)}
NUMBER = NO_NUMBER | BOUNDS
POSITIVE = NUMBER | {"zero": 0.0}
FRACTION = POSITIVE | {"one": 1.0}
FLAG = OTHERS | {"no": "no", "none": None, "an integer": 1, "zero": 0}
NAME = OTHERS | {"none": None, "unknown": "nothing", "an integer": 1}
KEY = {"an integer": 0, "none": None, "a string": "0"}
KEY |= {"floats": jnp.zeros(2), "two keys": jax.random.split(jax.random.key(0))}
MASK = {"a list": [True] * 6, "integers": np.arange(6), "none": None, "a string": "yes"}
MASK |= {"a number": True, "another length": np.ones(5, bool), "a matrix": np.ones((6, 1), bool)}
MATRIX = {"a list": [[1.0, 2.0]] * 6, "a string": "x", "none": None, "a number": 1.0}
MATRIX |= {"a vector": np.ones(6), "three axes": np.ones((6, 2, 1)), "text": np.full((6, 2), "x")}


def but(kinds, *names):
    """The kinds of values without some: what an argument may be after all."""
    return {name: value for name, value in kinds.items() if name not in names}


def each(call, /, **arguments):
    """A row for each argument and each kind of bad value, the other arguments being good.

    Args:
      call: refuses each of them by an error that begins with the argument's name.
      **arguments: argument -> (kind -> value).
    """
    return {
        f"{argument}, {kind}": (call, {argument: value})
        for argument, kinds in arguments.items()
        for kind, value in kinds.items()
    }


def tables(**calls):
    """One table of several: the rows of each under its name."""
    return {
        f"{name}: {row}": given for name, table in calls.items() for row, given in table.items()
    }


def refused(table):
    """Parametrises a test by a table of `each`: calls, and the argument that they refuse."""
    rows = [(functools.partial(call, **given), next(iter(given))) for call, given in table.values()]
    return pytest.mark.parametrize(("call", "argument"), rows, ids=table)


def check_refused(call, argument):
    """Asserts that a call raises an error that begins with the name of the argument."""
    with pytest.raises((TypeError, ValueError)) as raised:
        call()
    message = str(raised.value)
    assert re.match(rf"({AGREE})?[^:]*\b{argument}\b", message), message
    assert re.search(WORDING, message), message
