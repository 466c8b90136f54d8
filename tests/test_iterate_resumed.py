"""`iterate(..., checkpoint=DIR)`: what is yielded after a loop was broken off."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers import clouds

import jaxal
from jaxal.loop.identity import digest

POOL, TEST = clouds(60), clouds(20, seed=1)
PLAN: dict[str, Any] = {"initial": 6, "budget": 3, "rounds": 3}


def learner(rate=0.1, **options):
    return jaxal.Learner(jaxal.models.logistic(3), optax.sgd(rate), max_epochs=3, **options)


def rounds(checkpoint=None, *, seed=0, rate=0.1, strategy=None, pool=POOL, warm=True, **changes):
    return jaxal.iterate(
        jax.random.key(seed),
        learner(rate, warm_start=warm),
        strategy or jaxal.strategies.margin(),
        pool,
        TEST,
        **{**PLAN, **changes},
        checkpoint=checkpoint,
    )


@pytest.fixture(scope="module")
def unbroken():
    return [digest(after) for after in rounds()]


def take(count, loop):
    return [digest(next(loop)) for _ in range(count)]


@pytest.mark.slow
@pytest.mark.parametrize("asked", [0, 1, 2, 3, 4])
def test_a_loop_goes_on_with_the_first_round_that_is_not_finished(tmp_path, unbroken, asked):
    loop = rounds(tmp_path)
    assert take(asked, loop) == unbroken[:asked]
    loop.close()  # while the last of these is dealt with
    assert [digest(after) for after in rounds(tmp_path)] == unbroken[max(asked - 1, 0) :]
    assert [*rounds(tmp_path)] == []


@pytest.mark.slow
def test_a_loop_is_broken_off_again_and_again(tmp_path, unbroken):
    for number in range(4):
        loop = rounds(tmp_path)
        assert take(1, loop) == [unbroken[number]]
        with pytest.raises(BlockingIOError, match="another run is writing"):
            next(rounds(tmp_path))
        next(loop, None)
        loop.close()


CHANGES = {
    "seed": ({"seed": 1}, "key was"),
    "budget": ({"budget": 2}, "budget was 3 and is 2"),
    "data": ({"pool": clouds(60, seed=2)}, r"pool \(SHA-256\) was"),
    "rate": ({"rate": 0.2}, r"learner and strategy \(SHA-256\) was"),
    "option": ({"warm": False}, r"learner and strategy \(SHA-256\) was"),
    "strategy": ({"strategy": jaxal.strategies.entropy()}, r"learner and strategy \(SHA-256\) was"),
}


@pytest.mark.slow
@pytest.mark.parametrize(("changes", "message"), CHANGES.values(), ids=CHANGES)
def test_other_arguments_are_refused(tmp_path, changes, message):
    loop = rounds(tmp_path)
    take(2, loop)
    loop.close()
    with pytest.raises(ValueError, match=f"cannot go on, as this is not the same run: {message}"):
        next(rounds(tmp_path, **changes))


@pytest.mark.slow
def test_a_fit_on_the_host_is_resumed(tmp_path):
    calls = []

    def fit(key, variables, inputs, labels, weights, count, validation=None):
        calls.append(int(count))
        variables = jax.tree.map(lambda leaf: np.asarray(leaf) + int(count), variables)
        return variables, jaxal.FitInfo(jnp.float32(0.5), jnp.float32(1), jnp.int32(1))

    model = jaxal.models.logistic(3)

    def loop():
        custom = jaxal.CustomLearner(model, fit, fit_on_host=True)
        return jaxal.iterate(
            jax.random.key(0),
            custom,
            jaxal.strategies.random(),
            POOL,
            TEST,
            **PLAN,
            checkpoint=tmp_path,
        )

    broken = loop()
    first = take(2, broken)
    broken.close()
    assert take(1, loop()) == first[1:] and calls == [6, 9, 9]


@pytest.mark.slow
def test_a_mesh_goes_on_where_one_device_stopped(tmp_path, unbroken):
    loop = rounds(tmp_path)
    take(2, loop)
    loop.close()
    mesh = jaxal.devices.make_mesh(data=2)
    left = [*rounds(tmp_path, mesh=mesh)]
    assert [int(info.labels) for _, info in left] == [9, 12, 15]
