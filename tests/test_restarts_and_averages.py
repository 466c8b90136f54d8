"""A learner that begins a failed fit anew, and one that averages its parameters."""

import contextlib

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from bad_values import FRACTION, INTEGER, but, check_refused, each, refused
from test_training import buffers, fitted

import jaxal
from jaxal.training.averaging import averaged, start_average
from jaxal.training.base import FitInfo
from jaxal.training.stopping import has_failed

MODEL = jaxal.models.mlp(3, hidden=(8,))
LINEAR = jaxal.models.logistic(3)


def leaves_equal(one, other):
    return all(map(np.array_equal, jax.tree.leaves(one), jax.tree.leaves(other)))


@pytest.mark.parametrize(
    ("before", "epochs", "accuracy", "failed"),
    [
        (4, 5, 0.1, True),
        (5, 6, 0.1, False),
        (4, 5, 0.2, False),
        (0, 20, 0.1, True),
        (9, 9, 0, False),
    ],
)
def test_a_fit_is_looked_at_when_so_many_epochs_are_done(before, epochs, accuracy, failed):
    info = FitInfo(jnp.float32(1), jnp.float32(accuracy), jnp.int32(epochs))
    assert has_failed(info, jnp.int32(before), every=5, below=0.2) == failed


@pytest.mark.slow
def test_a_failed_fit_begins_anew_from_other_variables():
    still = {"optimizer": optax.sgd(0.0), "batch_size": 32, "restart_below": 1.0}
    given = buffers()

    def after(epochs, **options):
        learner = jaxal.Learner(LINEAR, max_epochs=epochs, **{**still, **options})
        variables, info = fitted(learner, *given)
        assert info.epochs == epochs
        return variables

    # Nothing is learned at a rate of 0: the variables are those of the last beginning.
    first = after(3, restart_every=3)  # the last epoch is not followed by a restart
    assert leaves_equal(first, after(2))
    second, third = after(4, restart_every=3), after(7, restart_every=3)
    assert leaves_equal(second, after(6, restart_every=3))
    assert not (leaves_equal(first, second) or leaves_equal(second, third))
    assert leaves_equal(first, after(7, restart_every=3, restart_below=0.0))


@pytest.mark.slow
def test_the_optimizer_begins_anew_and_a_fit_that_goes_well_does_not():
    given, epochs = buffers(), 9
    learner = jaxal.Learner(MODEL, optax.adam(1e-2), max_epochs=epochs, window=0)
    again = jaxal.Learner(
        MODEL, optax.adam(1e-2), max_epochs=epochs, window=0, restart_every=3, restart_below=0.01
    )
    assert leaves_equal(fitted(learner, *given), fitted(again, *given))

    counts = []
    counting = optax.chain(optax.scale_by_schedule(lambda count: _seen(counts, count)))
    jaxal.Learner(
        LINEAR, counting, batch_size=32, max_epochs=5, restart_every=2, restart_below=1.0
    ).fit(jax.random.key(0), {}, *given)
    jax.effects_barrier()
    assert counts == [0, 1, 0, 1, 0]


def _seen(counts, count):
    jax.debug.callback(lambda value: counts.append(int(value)), count, ordered=True)
    return 0.0 * count.astype(jnp.float32)


@pytest.mark.slow
def test_saturation_ends_no_failed_fit():
    options = {"optimizer": optax.sgd(0.0), "window": 3, "max_epochs": 12, "batch_size": 32}
    assert fitted(jaxal.Learner(LINEAR, **options), *buffers())[1].epochs == 3
    restarted = jaxal.Learner(LINEAR, restart_every=50, restart_below=1.0, **options)
    assert fitted(restarted, *buffers())[1].epochs == 12


@pytest.mark.slow
def test_a_restart_rescues_a_fit_that_cannot_learn():
    def init(key, inputs):
        # Three of four beginnings have no gradient at all.
        dead = jax.random.uniform(key) < 0.75
        return {"scale": jnp.where(dead, 0.0, 1.0), "kernel": jnp.zeros((5, 3))}

    def apply(params, inputs):
        return jax.lax.stop_gradient(params["scale"]) * inputs @ params["kernel"], inputs

    model = jaxal.models.from_functions(init, apply)
    options = {"max_epochs": 60, "restart_below": 0.6}
    seeds = jnp.arange(8)
    reached = {}
    for every in (0, 4):
        learner = jaxal.Learner(model, optax.adam(0.05), restart_every=every, **options)
        fit = jax.vmap(lambda seed: learner.fit(jax.random.key(seed), {}, *buffers(32))[1])  # noqa: B023
        reached[every] = jax.jit(fit)(seeds).accuracy
    assert (reached[0] < 0.6).any() and (reached[4] > 0.8).all()


# Averages


def test_an_average_is_the_mean_of_the_epochs_that_count():
    values = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
    average = start_average({"w": jnp.zeros(3)}, first_epoch=3)
    for epoch, value in enumerate(values, start=1):
        average = averaged(average, {"w": jnp.asarray(value)})
        expected = value if epoch < 3 else values[2:epoch].mean(0)
        np.testing.assert_allclose(average.params["w"], expected, atol=1e-6)
    assert average.count == 4


def after_each_epoch(options, epochs, given):
    for last in range(1, epochs + 1):
        yield fitted(jaxal.Learner(**options, max_epochs=last), *given)[0]


@pytest.mark.slow
def test_a_fit_returns_the_average_of_its_last_epochs():
    given = buffers()
    options = {"model": MODEL, "optimizer": optax.sgd(0.3), "window": 0, "max_accuracy": 2.0}
    each_epoch = list(after_each_epoch(options, 5, given))
    found, info = fitted(jaxal.Learner(**options, max_epochs=5, average_from=3), *given)
    expected = jax.tree.map(lambda *leaves: np.mean(leaves, 0), *each_epoch[2:])
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), found, expected)
    assert info.epochs == 5
    late, _ = fitted(jaxal.Learner(**options, max_epochs=5, average_from=6), *given)
    assert leaves_equal(late, each_epoch[4])


class Normed(nn.Module):
    @nn.compact
    def __call__(self, inputs, *, train=False):
        x = nn.Dense(4)(inputs)
        x = nn.BatchNorm(use_running_average=not train, momentum=0.8)(x)
        return nn.Dense(3)(x), x


@pytest.mark.slow
def test_running_statistics_are_those_of_the_averaged_parameters():
    model, given = jaxal.models.from_linen(Normed()), buffers(32)
    options = {"model": model, "optimizer": optax.sgd(1.0), "window": 0, "max_accuracy": 2.0}
    learner = jaxal.Learner(**options, batch_size=32, max_epochs=4, average_from=2)
    variables, _ = fitted(learner, *given)
    dense = variables["params"]["Dense_0"]
    hidden = np.asarray(given[0]) @ np.asarray(dense["kernel"]) + np.asarray(dense["bias"])[None]
    statistics = variables["batch_stats"]["BatchNorm_0"]
    np.testing.assert_allclose(statistics["mean"], hidden.mean(0), rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(statistics["var"], hidden.var(0), rtol=1e-3)
    early = jaxal.Learner(**options, batch_size=32, max_epochs=4, average_from=9)
    plain = jaxal.Learner(**options, batch_size=32, max_epochs=4)
    assert leaves_equal(fitted(early, *given), fitted(plain, *given))


@pytest.mark.slow
def test_an_average_begins_anew_with_the_fit():
    learner = jaxal.Learner(
        LINEAR,
        optax.sgd(0.0),
        batch_size=32,
        max_epochs=5,
        restart_every=4,
        restart_below=1.0,
        average_from=2,
    )
    plain = jaxal.Learner(
        LINEAR, optax.sgd(0.0), batch_size=32, max_epochs=5, restart_every=4, restart_below=1.0
    )
    assert leaves_equal(fitted(learner, *buffers()), fitted(plain, *buffers()))


@pytest.mark.slow
@pytest.mark.parametrize("setting", ["x64", "strict, of a subset"])
def test_under_other_settings(setting):
    options = {"restart_every": 2, "restart_below": 1.0, "average_from": 2, "max_epochs": 4}
    with contextlib.ExitStack() as modes:
        if setting == "x64":
            modes.enter_context(jax.enable_x64(True))
        else:
            options |= {"subset_fraction": 0.5, "subset_every": 2}
            modes.enter_context(jax.numpy_dtype_promotion("strict"))
            modes.enter_context(jax.debug_nans(True))
        learner = jaxal.Learner(jaxal.models.from_linen(Normed()), optax.adam(1e-2), **options)
        _, info = fitted(learner, *buffers())
        assert info.epochs <= 4 and np.isfinite(info.loss)


def learner(**given):
    return jaxal.Learner(LINEAR, optax.sgd(0.1), **given)


@refused(
    each(
        learner,
        restart_every=but(INTEGER, "zero"),
        restart_below=but(FRACTION, "zero", "one") | {"above one": 1.5},
        average_from=but(INTEGER, "zero"),
    )
    | each(
        lambda average_from: learner(average_from=average_from, patience=2), average_from={"": 3}
    )
)
def test_refused(call, argument):
    check_refused(call, argument)
