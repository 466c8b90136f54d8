"""Features of a named layer, and dropout injected before one."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from bad_values import NUMBER, OTHERS, but, check_refused, each, refused, tables
from helpers import MODES

import jaxal
from jaxal import models, posterior, strategies
from jaxal.posterior.dropout import check_dropout

INPUTS = jnp.asarray(np.random.default_rng(0).normal(size=(6, 4)), jnp.float32)


class Block(nn.Module):
    @nn.compact
    def __call__(self, inputs):
        return nn.relu(nn.Dense(8, name="inner")(inputs))


class Net(nn.Module):
    """Nested, with statistics, without dropout, and with a flag for training alone."""

    @nn.compact
    def __call__(self, inputs, *, train=False):
        x = Block(name="block")(inputs)
        x = nn.BatchNorm(use_running_average=not train)(x)
        return nn.Dense(3, name="head")(x)


def by_hand(variables, inputs):
    """The nested dense layer's output."""
    inner = variables["params"]["block"]["inner"]
    return np.asarray(inputs) @ np.asarray(inner["kernel"]) + np.asarray(inner["bias"])[None]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("layer", "side", "width"),
    [("block/inner", "output", 8), ("block/inner", "input", 4), ("block", "output", 8)],
)
def test_features_of_a_layer(layer, side, width):
    plain, model = models.from_linen(Net()), models.with_features(Net(), layer, side=side)
    variables = model.init(jax.random.key(0), INPUTS)
    outputs = jax.jit(model.apply)(variables, INPUTS)
    assert outputs.features.shape == (6, width)
    expected = jax.jit(plain.apply)(variables, INPUTS).logits
    np.testing.assert_allclose(outputs.logits, expected, rtol=1e-5, atol=1e-6)
    hidden = by_hand(variables, INPUTS)
    values = {"input": np.asarray(INPUTS), "output": hidden if "/" in layer else hidden.clip(0)}
    np.testing.assert_allclose(outputs.features, values[side], rtol=1e-5, atol=1e-6)
    trained, after = model.train(variables, INPUTS, key=jax.random.key(1))
    expected = plain.train(variables, INPUTS, key=jax.random.key(1))
    np.testing.assert_array_equal(trained.logits, expected[0].logits)
    jax.tree.map(np.testing.assert_array_equal, after, expected[1])


@pytest.mark.slow
def test_features_of_images_are_flattened_and_reach_strategies():
    model = models.with_features(models.cnn(3, channels=(2,), hidden=5), "Conv_0")
    images = jnp.ones((4, 6, 6))
    variables = jax.eval_shape(model.init, jax.random.key(0), images)
    assert jax.eval_shape(model.apply, variables, images).features.shape == (4, 6 * 6 * 2)

    def observe(variables):
        return strategies.core_set().observe(
            jax.random.key(0), model, variables, images, jnp.full(4, -1)
        )

    assert jax.eval_shape(observe, variables).shape == (4, 72)


def test_models_of_models_keep_their_layers():
    model = models.normalized(models.mlp(3, hidden=(5,)), 0.5, 0.2)
    raw, seen = jnp.ones((2, 4), jnp.uint8), models.with_features(model, "Dense_0")
    variables = jax.eval_shape(seen.init, jax.random.key(0), raw)
    assert jax.eval_shape(seen.apply, variables, raw).features.shape == (2, 5)
    assert seen.prepare is model.prepare


@pytest.mark.slow
def test_members_of_an_ensemble_have_layers_and_it_has_none():
    model = models.with_dropout(models.with_features(models.mlp(3), "Dense_0"), "Dense_1")
    ensemble = jaxal.ensemble(jaxal.Learner(model, optax.sgd(0.1)), 2).model

    @jax.jit
    def outputs():
        variables = ensemble.init(jax.random.key(0), INPUTS)
        return [ensemble.apply(variables, INPUTS, key=key) for key in (None, jax.random.key(1))]

    plain, dropped = jax.tree.map(np.asarray, outputs())
    assert plain.features.shape == (6, 2 * 128)
    assert (plain.logits != dropped.logits).any()
    for change in (models.with_features, models.with_dropout):
        with pytest.raises(ValueError, match="model: expected no ensemble"):
            change(ensemble, "Dense_0")


def test_equal_calls_are_one_model():
    model = models.mlp(3)
    assert models.with_features(model, "Dense_0") is models.with_features(model, "Dense_0")
    assert models.with_dropout(model, "Dense_1", 0.5) is models.with_dropout(model, "Dense_1")


# Dropout


def test_dropout_is_on_with_a_key_and_in_training():
    plain, model = models.from_linen(Net()), models.with_dropout(Net(), "head")
    variables = model.init(jax.random.key(0), INPUTS)
    check_dropout(model, variables, INPUTS)
    off = plain.apply(variables, INPUTS).logits
    np.testing.assert_array_equal(model.apply(variables, INPUTS).logits, off)
    one, same, other = (
        model.apply(variables, INPUTS, key=jax.random.key(seed)).logits for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one, same)
    assert (one != other).any() and (one != off).any()
    expected, statistics = plain.train(variables, INPUTS, key=jax.random.key(1))
    trained, after = model.train(variables, INPUTS, key=jax.random.key(1))
    assert (trained.logits != expected.logits).any()
    jax.tree.map(np.testing.assert_array_equal, after, statistics)
    without = models.with_dropout(Net(), "head", training=False)
    again = without.train(variables, INPUTS, key=jax.random.key(1))[0].logits
    np.testing.assert_array_equal(again, expected.logits)


def test_entries_are_dropped_at_the_rate_and_scaled():
    model = models.with_dropout(models.logistic(2), "Dense_0", 0.25)
    variables = {"params": {"Dense_0": {"kernel": jnp.eye(2), "bias": jnp.zeros(2)}}}
    inputs = jnp.ones((2000, 2))
    apply = jax.jit(model.apply)
    found = np.asarray(apply(variables, inputs, key=jax.random.key(0)).logits)
    assert set(np.unique(found).tolist()) == {0.0, np.float32(1 / 0.75)}
    assert abs((found == 0).mean() - 0.25) < 4 * np.sqrt(0.25 * 0.75 / 4000)
    assert abs((found == 0).all(1).mean() - 0.25**2) < 4 * np.sqrt(0.0625 / 2000)


def test_features_of_logits_alone_are_what_the_last_layer_saw():
    model = models.with_dropout(Net(), "head")
    variables = model.init(jax.random.key(0), INPUTS)
    outputs = model.apply(variables, INPUTS, key=jax.random.key(1))
    head = variables["params"]["head"]
    logits = outputs.features @ head["kernel"] + head["bias"][None]
    np.testing.assert_allclose(logits, outputs.logits, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES.values(), ids=MODES)
def test_under_other_settings_of_jax(mode):
    with mode():
        model = models.with_features(models.with_dropout(Net(), "head"), "block/inner")
        inputs = jnp.asarray(np.asarray(INPUTS))

        @jax.jit
        def trained(inputs):
            variables = model.init(jax.random.key(0), inputs)
            return model.train(variables, inputs, key=jax.random.key(1))[0]

        outputs = trained(inputs)
        assert outputs.features.shape == (6, 8) and np.isfinite(outputs.logits).all()


class Twice(nn.Module):
    @nn.compact
    def __call__(self, inputs):
        layer = nn.Dense(4, name="shared", kernel_init=lambda *_: jnp.eye(4))
        return layer(inputs) - layer(inputs)


def test_a_layer_that_runs_twice_has_two_masks():
    model = models.with_dropout(Twice(), "shared")
    variables = model.init(jax.random.key(0), INPUTS)
    apply = jax.jit(model.apply)
    assert (np.asarray(apply(variables, INPUTS).logits) == 0).all()
    assert (np.asarray(apply(variables, INPUTS, key=jax.random.key(1)).logits) != 0).any()


@pytest.mark.slow
def test_consistent_masks_make_one_network_of_a_draw():
    model = models.with_dropout(models.mlp(3), "Dense_1")
    variables = model.init(jax.random.key(0), INPUTS)
    alike = jnp.tile(INPUTS[:1], (5, 1))
    draws = posterior.mc_dropout(4, consistent=True)

    @jax.jit
    def observe(variables):
        return draws.observe(
            jax.random.key(0), model, variables, alike, lambda draws: draws.stack()
        )

    seen = np.asarray(observe(variables))
    assert seen.shape == (5, 4, 3)
    np.testing.assert_allclose(seen, np.tile(seen[:1], (5, 1, 1)), rtol=1e-5, atol=1e-6)
    assert np.ptp(np.asarray(seen[0]), axis=0).max() > 0


@pytest.mark.slow
def test_batch_bald_on_a_model_without_dropout():
    pool = jaxal.Examples(np.asarray(INPUTS), np.arange(6) % 3)
    model = models.mlp(3)
    variables = model.init(jax.random.key(0), INPUTS)
    strategy = strategies.batch_bald(num_samples=100)
    key = jax.random.key(0)
    with pytest.raises(ValueError, match="the model has no dropout"):
        jaxal.acquire(key, strategy, model, variables, pool.inputs, budget=2)
    dropped = models.with_dropout(model, "Dense_1", training=False)
    rows = jaxal.acquire(key, strategy, dropped, variables, pool.inputs, budget=2).rows
    assert len(set(rows.tolist())) == 2


@pytest.mark.parametrize("make", [models.with_features, models.with_dropout])
def test_layers_that_do_not_run_are_refused(make):
    model = make(models.mlp(3), "Dense_7")
    variables = model.init(jax.random.key(0), INPUTS)
    with pytest.raises(ValueError, match="layer: 'Dense_7' is unknown; .*'Dense_"):
        model.apply(variables, INPUTS, key=jax.random.key(0))
    plain = models.from_functions(lambda key, x: {}, lambda params, x: (x, x))
    with pytest.raises(ValueError, match="layer: expected a model of a linen module"):
        make(plain, "Dense_0").apply({"params": {}}, INPUTS, key=jax.random.key(0))


class Pair(nn.Module):
    @nn.compact
    def __call__(self, inputs):
        return inputs, inputs


class Outer(nn.Module):
    @nn.compact
    def __call__(self, inputs):
        left, _ = Pair(name="pair")(inputs)
        return nn.Dense(3)(left)


def test_a_layer_without_one_array_has_no_features():
    model = models.with_features(Outer(), "pair")
    variables = model.init(jax.random.key(0), INPUTS)
    with pytest.raises(ValueError, match="layer: expected 'pair' to hold an array, got tuple of 2"):
        model.apply(variables, INPUTS)


MODEL = models.mlp(3)
NO_MODEL = OTHERS | {"none": None, "a class": nn.Dense}
NO_PATH = but(OTHERS, "a string") | {"none": None, "an integer": 1}


@refused(
    tables(
        features=each(
            lambda model=MODEL, layer="Dense_0", side="input": models.with_features(
                model, layer, side=side
            ),
            model=NO_MODEL,
            layer=NO_PATH,
            side=NO_PATH | {"unknown": "inner"},
        ),
        dropout=each(
            lambda model=MODEL, layer="Dense_0", rate=0.5, training=True: models.with_dropout(
                model, layer, rate, training=training
            ),
            model=NO_MODEL,
            layer=NO_PATH,
            rate=NUMBER | {"one": 1.0},
            training={"none": None, "a string": "no", "an integer": 1},
        ),
    )
)
def test_refused(call, argument):
    check_refused(call, argument)
