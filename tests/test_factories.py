"""Factories whose equal calls return the identical object, and their registries' one wording."""

import numpy as np
import pytest
from helpers import bad_inputs

from jaxal import models, posterior, strategies
from jaxal.factories import cached_factory


@cached_factory
def boxed(numbers=(2,), scale=1.0, *, deep=False):
    """Boxes its arguments."""
    return {"numbers": numbers, "scale": scale, "deep": deep}


@pytest.mark.parametrize(
    "again",
    [
        lambda: boxed((2,)),
        lambda: boxed([2], 1.0),
        lambda: boxed(scale=1),
        lambda: boxed(scale=np.float64(1.0), deep=False),
    ],
)
def test_equal_calls_return_the_identical_object(again):
    assert again() is boxed()
    assert boxed.__name__ == "boxed" and boxed.__doc__ == "Boxes its arguments."


def test_types_tell_calls_apart():
    assert boxed(3) is not boxed(3.0)
    assert boxed(deep=True) is not boxed()


def test_what_cannot_be_remembered_reaches_the_factory():
    assert boxed([[2]])["numbers"] == [[2]]


@pytest.mark.parametrize("registry", [models, posterior, strategies])
def test_names_are_a_sorted_tuple(registry):
    names = registry.names()
    assert isinstance(names, tuple) and names == tuple(sorted(names))


@bad_inputs(
    {
        "strategy": (
            lambda: strategies.make("badg"),
            ValueError,
            "^strategy: 'badg' is unknown; did you mean 'badge'. valid names: adversarial_bim, ",
        ),
        "its option": (
            lambda: strategies.make("bald", posteriors=3),
            ValueError,
            "^strategy bald: option 'posteriors' is unknown; did you mean 'posterior'",
        ),
        "model": (
            lambda: models.make("mpl", 3),
            ValueError,
            "^model: 'mpl' is unknown; did you mean 'mlp'. valid names: bayesian_cnn, ",
        ),
        "posterior": (
            lambda: posterior.make("dropout"),
            ValueError,
            "^posterior: 'dropout' is unknown; did you mean 'mc_dropout'. valid names: ",
        ),
    }
)
def test_unknown_names(call, error, message):
    with pytest.raises(error, match=message):
        call()
