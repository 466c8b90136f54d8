"""How a learner fits: the steps it takes, when it ends, and what it refuses."""

from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers import bad_inputs, clouds, strict

import jaxal
from jaxal.training import evaluate
from jaxal.training.epoch import noise_and_keys
from jaxal.training.stopping import is_saturated

MODEL = jaxal.models.mlp(3, hidden=(8,))


def buffers(count=20, capacity=32, fill=0.0) -> Any:
    """Buffers of which the first `count` rows are labelled; the others hold `fill`."""
    inputs, labels = clouds(capacity)
    inputs = np.where(np.arange(capacity)[:, None] < count, inputs, fill).astype(np.float32)
    return inputs, labels, np.ones(capacity, np.float32), np.int32(count)


def started(model, example):
    """Initial variables, by one program."""
    return jax.jit(model.init)(jax.random.key(7), example)


def fitted(learner, *given, seed=0):
    variables = started(learner.model, given[0][:1])
    return jax.jit(learner.fit)(jax.random.key(seed), variables, *given)


def saturated(window, min_gain):
    return not any(
        later - earlier >= min_gain for i, earlier in enumerate(window) for later in window[i + 1 :]
    )


@pytest.mark.slow
@pytest.mark.parametrize("size", [1, 2, 3, 10])
def test_saturation_rule(size):
    rng = np.random.default_rng(size)
    windows = np.round(rng.uniform(0.5, 1, (40, size)), 2).astype(np.float32)

    @jax.jit
    def found(filled):
        gains = (0.0, 0.05, 0.3)
        return [jax.vmap(lambda one: is_saturated(one, filled, gain))(windows) for gain in gains]  # noqa: B023

    for min_gain, of_gain in zip((0.0, 0.05, 0.3), found(np.int32(size)), strict=True):
        assert of_gain.tolist() == [saturated(one.tolist(), min_gain) for one in windows]
    assert not np.any(found(np.int32(size - 1)))


@pytest.mark.slow
def test_one_full_batch_step_is_the_gradient_of_the_weighted_mean():
    inputs, labels, _, count = buffers(count=10, capacity=16)
    weights = np.linspace(0.0, 2.0, 16, dtype=np.float32)
    learner = jaxal.Learner(MODEL, optax.sgd(0.1), batch_size=16, max_epochs=1)
    variables, info = fitted(learner, inputs, labels, weights, count)
    start = jax.jit(MODEL.init)(jax.random.split(jax.random.key(0))[0], inputs[:1])

    def loss(params):
        logits = MODEL.apply({"params": params}, inputs[:10]).logits
        each = optax.softmax_cross_entropy_with_integer_labels(logits, labels[:10])
        return jnp.sum(weights[:10] * each) / 10

    value, gradient = jax.jit(jax.value_and_grad(loss))(start["params"])
    expected = jax.tree.map(
        lambda p, g: np.asarray(p) - 0.1 * np.asarray(g), start["params"], gradient
    )
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6),
        variables["params"],
        expected,
    )
    np.testing.assert_allclose(info.loss, value, rtol=1e-5)
    assert info.epochs == 1


@pytest.mark.slow
@pytest.mark.parametrize("batch_size", [4, 7, 64])
def test_unused_rows_and_capacity_change_nothing(batch_size):
    learner = jaxal.Learner(MODEL, optax.adam(1e-2), batch_size=batch_size, max_epochs=5)
    plain = fitted(learner, *buffers(fill=0.0))
    wild = fitted(learner, *buffers(fill=1e6))
    jax.tree.map(np.testing.assert_array_equal, plain, wild)
    inputs, labels, weights, count = buffers(capacity=32)
    short = fitted(learner, inputs[:24], labels[:24], weights[:24], count)
    jax.tree.map(np.testing.assert_array_equal, plain, short)


class Normed(nn.Module):
    @nn.compact
    def __call__(self, inputs, *, train=False, dropout=False):
        normed = nn.BatchNorm(use_running_average=not train, momentum=0.5)(inputs)
        return nn.Dense(3)(normed), normed


@pytest.mark.slow
@pytest.mark.parametrize("batch_size", [5, 16])
def test_running_statistics_see_labelled_rows_only(batch_size):
    # Of 10 labelled rows, a batch of 5 is full and one of 16 is filled up with some of them.
    learner = jaxal.Learner(
        jaxal.models.from_linen(Normed()),
        optax.sgd(0.0),
        batch_size=batch_size,
        max_epochs=40,
        window=0,
    )
    variables, _ = fitted(learner, *buffers(count=10, capacity=16, fill=1e6))
    inputs = np.asarray(buffers(count=10, capacity=16)[0][:10])
    mean = variables["batch_stats"]["BatchNorm_0"]["mean"]
    assert (inputs.min(0) <= mean).all() and (mean <= inputs.max(0)).all()


@pytest.mark.slow
def test_stops_at_the_training_accuracy():
    given = buffers()
    free = jaxal.Learner(MODEL, optax.adam(3e-2), max_epochs=200, max_accuracy=1.1, window=0)
    assert fitted(free, *given)[1].epochs == 200
    stopped = jaxal.Learner(MODEL, optax.adam(3e-2), max_epochs=200, max_accuracy=0.9, window=0)
    info = fitted(stopped, *given)[1]
    assert info.accuracy >= 0.9 and info.epochs < 200


@pytest.mark.slow
def test_stops_on_saturation():
    learner = jaxal.Learner(MODEL, optax.sgd(0.0), max_epochs=200, window=6)
    assert fitted(learner, *buffers())[1].epochs == 6  # the accuracy cannot rise


@pytest.mark.slow
def test_stops_when_the_loss_is_not_finite():
    learner = jaxal.Learner(MODEL, optax.sgd(1e30), max_epochs=50, window=0)
    info = fitted(learner, *buffers())[1]
    assert not jnp.isfinite(info.loss) and info.epochs < 50


def test_learns_with_a_schedule_and_any_batch_size():
    schedule = optax.cosine_decay_schedule(0.1, 200)
    learner = jaxal.Learner(MODEL, optax.chain(optax.clip(1.0), optax.sgd(schedule)), batch_size=3)
    assert fitted(learner, *buffers())[1].accuracy > 0.9


@pytest.mark.slow
@pytest.mark.parametrize("implementation", ["threefry2x32", "rbg", "unsafe_rbg"])
def test_noise_and_keys_of_an_epoch(implementation):
    key = jax.random.key(3, impl=implementation)
    seen = []
    for epoch in (0, 1):
        noise, batch_keys = noise_and_keys(key, jnp.int32(epoch), 500, 7)
        folded = jax.random.fold_in(key, epoch)
        for batch in (0, 6):
            expected = jax.random.fold_in(jax.random.fold_in(folded, 1), batch)
            # vmap changes what "unsafe_rbg" draws, as its documentation says.
            assert batch_keys[batch] == expected or implementation == "unsafe_rbg"
        assert len({*map(bytes, np.asarray(jax.random.key_data(batch_keys)))}) == 7
        assert len(set(noise.tolist())) > 490
        assert noise.min() >= 0 and noise.max() < 2**23
        # Uniform: the mean of 500 is within four deviations.
        assert abs(float(noise.mean()) / 2**23 - 0.5) < 4 / (12 * 500) ** 0.5
        if implementation == "threefry2x32":
            uniform = jax.random.uniform(jax.random.split(folded)[0], (500,))
            assert jnp.argsort(noise).tolist() == jnp.argsort(uniform).tolist()
        seen.append(noise)
    assert (seen[0] != seen[1]).mean() > 0.99


@pytest.mark.slow
@pytest.mark.parametrize("epoch_rows", [0, 7, 20, 50])
def test_an_epoch_draws_at_least_so_many_rows(epoch_rows):
    drawn = []
    seen = MODEL._replace(
        train=lambda variables, inputs, *, key: (
            jax.debug.callback(lambda inputs: drawn.append(inputs), inputs)
            or MODEL.train(variables, inputs, key=key)
        )
    )
    learner = jaxal.Learner(seen, optax.sgd(0.0), batch_size=5, epoch_rows=epoch_rows, max_epochs=1)
    inputs, labels, weights, count = buffers(count=20)
    fitted(learner, inputs, labels, weights, count)
    jax.effects_barrier()
    rows = np.concatenate(drawn)
    assert len(rows) == max(20, -(-epoch_rows // 5) * 5)
    times = (rows[:, None] == np.asarray(inputs[:20])[None]).all(-1).sum(0)
    assert set(times) <= {len(rows) // 20, -(-len(rows) // 20)}


@pytest.mark.slow
def test_means_are_of_the_rows_drawn():
    once = jaxal.Learner(MODEL, optax.sgd(0.0), max_epochs=1)
    thrice = jaxal.Learner(MODEL, optax.sgd(0.0), max_epochs=1, epoch_rows=60)
    for mean, expected in zip(
        fitted(thrice, *buffers())[1], fitted(once, *buffers())[1], strict=True
    ):
        np.testing.assert_allclose(mean, expected, rtol=1e-5)


@jax.jit
def cross_entropy_of(variables, examples):
    logits = MODEL.apply(variables, examples.inputs).logits
    return optax.softmax_cross_entropy_with_integer_labels(logits, examples.labels).mean()


def cross_entropy(variables, examples):
    return float(cross_entropy_of(variables, examples))


def watched(model):
    """A model that notes its variables whenever it is asked for outputs, and the notes."""
    seen = []

    def apply(variables, inputs, *, key=None):
        jax.debug.callback(seen.append, variables)
        return model.apply(variables, inputs, key=key)

    return model._replace(apply=apply), seen


@pytest.mark.slow
def test_patience_returns_the_epoch_of_the_lowest_validation_loss():
    # Labels that overlap: the loss on other examples falls at first, then rises.
    validation = clouds(1500, seed=3, spread=4.0)  # more than one batch
    given = (*buffers(), validation)
    options: dict = dict(optimizer=optax.adam(3e-2), window=0, max_accuracy=1.1)
    model, seen = watched(MODEL)
    at_once = len(validation.labels)

    def fit(patience, model=MODEL, **more):
        learner = jaxal.Learner(model, max_epochs=300, patience=patience, **options, **more)
        variables, info = fitted(learner, *given)
        return cross_entropy(variables, validation), int(info.epochs)

    ends = {20: fit(20, model, eval_batch_size=at_once), 1: fit(1), 5: fit(5)}
    jax.effects_barrier()
    losses = [cross_entropy(variables, validation) for variables in seen]  # after each epoch
    # Looked at or not, the variables are those of as long a fit without patience.
    plain = fitted(jaxal.Learner(MODEL, max_epochs=len(seen), **options), *given)[0]
    jax.tree.map(np.testing.assert_array_equal, seen[-1], plain)
    assert 1 < next(i for i in range(1, 39) if losses[i] > losses[i - 1]) < 39
    for patience, (found, epochs) in ends.items():
        stop = next(
            epoch
            for epoch in range(1, 40)
            if epoch - (1 + int(np.argmin(losses[:epoch]))) >= patience
        )
        assert epochs == stop
        np.testing.assert_allclose(found, min(losses[:stop]), rtol=1e-4)
    assert len(losses) == ends[20][1]


@pytest.mark.slow
def test_patience_keeps_the_best_at_the_last_epoch_and_where_the_loss_is_nan():
    given = (*buffers(), clouds(30, seed=3))
    options: dict = dict(window=0, max_accuracy=1.1, max_epochs=6, patience=2)
    falling = jaxal.Learner(MODEL, optax.sgd(1e-3), **options)
    variables, info = fitted(falling, *given)
    plain = jaxal.Learner(MODEL, optax.sgd(1e-3), window=0, max_epochs=6)
    jax.tree.map(np.testing.assert_array_equal, variables, fitted(plain, *given)[0])
    assert info.epochs == 6
    broken = jaxal.Learner(MODEL, optax.sgd(1e30), **options)
    variables, info = fitted(broken, *given)
    assert not jnp.isfinite(info.loss)
    assert all(jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(variables))


@pytest.mark.slow
def test_without_patience_validation_examples_are_not_looked_at():
    learner = jaxal.Learner(MODEL, optax.adam(1e-2), max_epochs=5)
    given, validation = buffers(), clouds(77, seed=3)
    jax.tree.map(
        np.testing.assert_array_equal,
        fitted(learner, *given),
        fitted(learner, *given, validation),
    )
    variables = started(MODEL, given[0][:1])
    jaxpr = jax.make_jaxpr(learner.fit)(jax.random.key(0), variables, *given, validation)
    assert "[77,8]" not in str(jaxpr)  # the hidden layer of the validation rows


def test_patience_needs_validation_examples():
    learner = jaxal.Learner(MODEL, optax.sgd(0.1), patience=3)
    with pytest.raises(ValueError, match="patience: 3.*no validation examples"):
        fitted(learner, *buffers())


@pytest.mark.slow
def test_patience_under_vmap_is_each_seed_alone():
    learner = jaxal.Learner(MODEL, optax.adam(3e-2), window=0, max_accuracy=1.1, patience=3)
    given = jax.tree.map(jnp.asarray, (*buffers(), clouds(50, seed=3, spread=4.0)))
    variables = started(MODEL, given[0][:1])
    _, together = jax.jit(
        jax.vmap(lambda seed: learner.fit(jax.random.key(seed), variables, *given))
    )(jnp.arange(4))
    alone = [int(fitted(learner, *given, seed=seed)[1].epochs) for seed in range(4)]
    assert together.epochs.tolist() == alone and len(set(alone)) > 1


@pytest.mark.slow
def test_warm_start_goes_on_from_the_variables():
    given = buffers()
    cold = jaxal.Learner(MODEL, optax.sgd(0.0), max_epochs=1)
    warm = jaxal.Learner(MODEL, optax.sgd(0.0), max_epochs=1, warm_start=True)
    start = started(MODEL, given[0][:1])
    jax.tree.map(np.testing.assert_array_equal, fitted(warm, *given)[0], start)
    kernel = jax.tree.leaves(fitted(cold, *given)[0])[-1]
    assert not np.array_equal(kernel, jax.tree.leaves(start)[-1])


def test_a_loss_of_ones_own():
    def squared(logits, labels):
        return jnp.sum((logits - jax.nn.one_hot(labels, 3)) ** 2, axis=-1)

    learner = jaxal.Learner(MODEL, optax.adam(3e-2), loss=squared, window=30)
    assert fitted(learner, *buffers())[1].accuracy > 0.9


@pytest.mark.slow
def test_vmap_over_seeds_is_each_seed_alone():
    learner = jaxal.Learner(MODEL, optax.adam(1e-2), max_epochs=20)
    given = jax.tree.map(jnp.asarray, buffers())
    variables = started(MODEL, given[0][:1])
    several = jax.jit(jax.vmap(lambda seed: learner.fit(jax.random.key(seed), variables, *given)))
    together = several(jnp.arange(3))
    for seed in range(3):
        alone = fitted(learner, *given, seed=seed)
        assert alone[1].epochs == together[1].epochs[seed]
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b[seed], rtol=1e-3, atol=1e-4),  # noqa: B023
            alone[0],
            together[0],
        )


@bad_inputs(
    {
        "batch size": (dict(batch_size=0), ValueError, "batch_size.*0"),
        "epochs": (dict(max_epochs=-3), ValueError, "max_epochs.*-3"),
        "accuracy": (dict(max_accuracy=0.0), ValueError, "max_accuracy"),
        "window": (dict(window=-1), ValueError, "window.*-1"),
        "rows of an epoch": (dict(epoch_rows=-1), ValueError, "epoch_rows.*-1"),
        "patience": (dict(patience=-1), ValueError, "patience.*-1"),
        "no subset": (dict(subset_fraction=0.0), ValueError, "subset_fraction.*0"),
        "subset": (dict(subset_fraction=1.5), ValueError, "at most 1, got 1.5"),
        "match": (dict(subset_every=0), ValueError, "subset_every.*0"),
        "gain": (dict(min_gain=-0.1), ValueError, "min_gain.*-0.1"),
        "NaN": (dict(min_gain=float("nan")), ValueError, "min_gain.*nan"),
        "rows at once": (dict(eval_batch_size=0), ValueError, "eval_batch_size.*0"),
    }
)
def test_bad_input(given, error, message):
    with pytest.raises(error, match=message):
        jaxal.Learner(MODEL, optax.sgd(0.1), **given)


@pytest.mark.parametrize("change", [dict(batch_size=2.5), dict(max_epochs=True), dict(window="9")])
def test_numbers_of_rows_and_epochs_are_integers(change):
    with pytest.raises(TypeError, match=f"{next(iter(change))}: expected an integer"):
        jaxal.Learner(MODEL, optax.sgd(0.1), **change)
    size: Any = np.int64(3)
    jaxal.Learner(MODEL, optax.sgd(0.1), batch_size=size)


@pytest.mark.slow
@pytest.mark.parametrize(("subset_fraction", "patience"), [(1.0, 9), (0.5, 0)])
def test_the_rows_that_go_through_the_model_at_once_are_a_setting(subset_fraction, patience):
    shapes = set()

    def apply(variables, inputs, *, key=None):
        shapes.add(inputs.shape)
        return MODEL.apply(variables, inputs, key=key)

    def fit(**options):
        shapes.clear()
        learner = jaxal.Learner(
            MODEL._replace(apply=apply),
            optax.sgd(0.1),
            max_epochs=2,
            subset_fraction=subset_fraction,
            patience=patience,
            **options,
        )
        return fitted(learner, *buffers(), clouds(32, seed=3))

    whole = fit()
    assert shapes == {(32, 5)}
    in_parts = fit(eval_batch_size=11)
    assert shapes == {(11, 5)}
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-6), whole, in_parts)


class Cast(nn.Module):
    """A network that computes in the type of its inputs, float64 where they are."""

    @nn.compact
    def __call__(self, inputs, *, train=False, dropout=False):
        inputs = nn.BatchNorm(use_running_average=not train, momentum=0.5)(inputs)
        inputs = nn.Dropout(0.2, deterministic=not (train or dropout))(inputs)
        return nn.Dense(3)(inputs), inputs


SETTINGS = {"x64": lambda: jax.enable_x64(True), "strict": strict}
LEARNERS = {
    "adam": lambda model: jaxal.Learner(model, optax.adam(1e-2), max_epochs=2, epoch_rows=33),
    "schedule": lambda model: jaxal.Learner(
        model,
        optax.inject_hyperparams(optax.sgd)(learning_rate=optax.linear_schedule(0.1, 0.0, 10)),
        max_epochs=2,
    ),
    "patience": lambda model: jaxal.Learner(model, optax.sgd(0.1), max_epochs=2, patience=2),
    "subset": lambda model: jaxal.Learner(
        model, optax.sgd(0.1), max_epochs=2, subset_fraction=0.4, subset_every=2
    ),
    "ensemble": lambda model: jaxal.ensemble(
        jaxal.Learner(model, optax.sgd(0.1), max_epochs=2, warm_start=True), 2
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("make", LEARNERS.values(), ids=LEARNERS.keys())
@pytest.mark.parametrize("setting", SETTINGS.values(), ids=SETTINGS.keys())
def test_trains_under_any_setting_of_jax(setting, make):
    with setting():  # and rank promotion is an error in all tests
        learner = make(jaxal.models.from_linen(Cast()))
        inputs, labels = clouds(32)
        if jax.config.read("jax_enable_x64"):
            inputs, labels = inputs.astype(float), labels.astype(int)
        variables = started(learner.model, inputs[:1])
        types = jax.tree.map(lambda leaf: leaf.dtype, variables)
        count = np.sum(np.arange(32) < 20)
        given = inputs, labels, np.ones(32, inputs.dtype), count, (inputs[:9], labels[:9])
        variables, info = jax.jit(learner.fit)(jax.random.key(0), variables, *given)
        assert [leaf.dtype.name for leaf in info] == ["float32", "float32", "int32"]
        assert jax.tree.map(lambda leaf: leaf.dtype, variables) == types
        assert info.epochs == 2 and jnp.isfinite(info.loss)
        measure = jax.jit(partial(evaluate, learner.model, batch_size=10))
        measured = measure(variables, inputs, labels)
        assert jnp.isfinite(measured.loss)
