"""Raw integers as inputs: normalised in the model, in strategies, ensembles and experiments."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from bad_values import NAN, OTHERS, POSITIVE, but, check_refused, each, refused, tables
from helpers import bad_inputs

import jaxal
from jaxal import data, models, strategies
from jaxal.base import prepared
from jaxal.data.normalization import NORMALIZATIONS, normalize, pool_normalization
from jaxal.experiment import parse
from jaxal.experiment.build import build

MEAN, STD = (0.5, 0.4, 0.3), (0.2, 0.25, 0.3)
SMALL = models.mlp(3, hidden=(5,), dropout=0.5)


def pixels(rows=12, channels=3, dtype=np.uint8, seed=0):
    rng = np.random.default_rng(seed)
    return jnp.asarray(rng.integers(0, 256, (rows, 4, 2, channels)), dtype)


def by_definition(raw, mean=MEAN, std=STD, scale=255):
    return ((np.asarray(raw, np.float64) / scale - mean) / std).astype(np.float32)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [np.uint8, np.int32])
def test_integers_are_normalised_and_floats_are_left(dtype):
    model, raw = models.normalized(SMALL, MEAN, STD), pixels(dtype=dtype)
    floats = prepared(model, raw)
    assert floats.dtype == jnp.float32
    np.testing.assert_allclose(floats, by_definition(raw), atol=1e-6)
    assert prepared(model, floats) is floats
    variables = model.init(jax.random.key(0), raw)
    jax.tree.map(
        np.testing.assert_array_equal, model.apply(variables, raw), SMALL.apply(variables, floats)
    )
    trained, _ = model.train(variables, raw, key=jax.random.key(1))
    expected, _ = SMALL.train(variables, floats, key=jax.random.key(1))
    np.testing.assert_array_equal(trained.logits, expected.logits)


def test_a_deviation_of_infinity_gives_zero():
    model = models.normalized(SMALL, [1.0, 2.0], [np.inf, 1.0], scale=1)
    assert prepared(model, jnp.array([[9, 5]])).tolist() == [[0.0, 3.0]]


def test_equal_calls_are_one_model_and_a_model_without_preparation_prepares_nothing():
    one = models.normalized(SMALL, np.array(MEAN), list(STD))
    assert one is models.normalized(SMALL, MEAN, STD)
    assert one is not models.normalized(SMALL, MEAN, STD, scale=1)
    raw = pixels()
    assert prepared(SMALL, raw) is raw


@pytest.mark.slow
@pytest.mark.parametrize("name", ["adversarial_bim", "adversarial_deepfool", "bald", "badge"])
def test_strategies_see_raw_pixels_as_their_normalised_floats(name):
    hyper = {"max_steps": 3} if name.startswith("adversarial") else {}
    strategy = strategies.make(name, **hyper)
    model, raw = models.normalized(SMALL, MEAN, STD), pixels()
    variables, key = model.init(jax.random.key(0), raw), jax.random.key(2)
    labels = jnp.full(len(raw), -1)

    def observed(inputs):
        return strategy.observe(key, model, variables, inputs, labels)

    seen = observed(raw)
    assert np.isfinite(jax.tree.leaves(seen)[0]).any()
    if name != "bald":  # whose masks are told apart by the contents
        jax.tree.map(np.testing.assert_array_equal, seen, observed(prepared(model, raw)))


def test_clusters_of_inputs_are_of_normalised_ones():
    model = models.normalized(SMALL, MEAN, STD)
    strategy, raw = strategies.k_means(representation="inputs"), pixels()
    seen = strategy.observe(jax.random.key(0), model, {}, raw, jnp.full(len(raw), -1))
    np.testing.assert_allclose(seen, by_definition(raw).reshape(len(raw), -1), atol=1e-6)


@pytest.mark.parametrize("name", ["adversarial_bim", "adversarial_deepfool"])
def test_tokens_cannot_be_moved(name):
    tokens, strategy = jnp.zeros((2, 4), jnp.int32), strategies.make(name)
    variables = SMALL.init(jax.random.key(0), tokens)
    with pytest.raises(TypeError, match="inputs: expected floating point, got int32.*token"):
        strategy.observe(jax.random.key(0), SMALL, variables, tokens, jnp.full(2, -1))


@pytest.mark.slow
def test_an_ensemble_prepares_as_its_members_do():
    model = models.normalized(SMALL, MEAN, STD)
    both = jaxal.ensemble(jaxal.Learner(model, optax.sgd(0.1)), 2).model
    again = models.normalized(
        jaxal.ensemble(jaxal.Learner(SMALL, optax.sgd(0.1)), 2).model, MEAN, STD
    )
    raw = pixels()
    variables = both.init(jax.random.key(0), raw)
    for one in (both, again):
        assert one.member is not None
        np.testing.assert_array_equal(prepared(one, raw), prepared(model, raw))
        np.testing.assert_array_equal(
            one.member.apply(jax.tree.map(lambda leaf: leaf[0], variables), raw).logits,
            model.apply(jax.tree.map(lambda leaf: leaf[0], variables), raw).logits,
        )


@pytest.mark.parametrize("shape", [(50, 3, 2), (50, 3, 2, 3), (50, 4)])
@pytest.mark.parametrize("dtype", [np.uint8, np.int16])
def test_statistics_of_a_pool_are_taken_in_chunks(shape, dtype, monkeypatch):
    monkeypatch.setattr("jaxal.data.normalization.CHUNK", 40)
    raw = np.random.default_rng(0).integers(0, 256, shape).astype(dtype)
    axis = 0 if raw.ndim == 2 else None
    if axis == 0:
        raw[:, 1] = 7
    found = pool_normalization(raw, 255.0)
    np.testing.assert_allclose(found.mean, np.atleast_1d((raw / 255).mean(axis)))
    expected = np.atleast_1d((raw / 255).std(axis))
    np.testing.assert_allclose(found.std, np.where(raw.std(axis) == 0, np.inf, expected))


def test_floats_on_the_host_are_those_of_the_model():
    raw, known = np.asarray(pixels()), NORMALIZATIONS["cifar10"]
    model = models.normalized(SMALL, known.mean, known.std, scale=known.scale)
    labels = np.zeros(len(raw), np.int32)
    floats = normalize(jaxal.Examples(raw, labels), known)
    np.testing.assert_allclose(floats.inputs, prepared(model, jnp.asarray(raw)), atol=1e-6)
    assert normalize(floats, known) is floats


# Experiments


@pytest.fixture
def source(tmp_path):
    raw = np.asarray(pixels(60, 3))
    np.savez(tmp_path / "images.npz", inputs=raw, labels=np.arange(60) % 3)
    return f"npz:{tmp_path / 'images.npz'}"


def parts(source, **settings):
    table = {"source": source, **settings}
    rest = {"model": {"name": "logistic"}, "strategy": {"names": ["random"]}, "name": "x"}
    return build(parse({"data": table} | rest))


@pytest.mark.parametrize("flat", [False, True])
def test_an_experiment_keeps_pixels_and_gives_the_model_what_load_gives(source, flat):
    made = parts(source, flat=flat, validation=6, repeat=2)
    assert made.validation is not None
    stored = made.pool.inputs, made.validation.inputs, made.test.inputs
    assert {inputs.dtype for inputs in stored} == {np.dtype(np.uint8)}
    expected, test = data.load(source, flat=flat)
    floats = prepared(made.learner.model, made.test.inputs)
    np.testing.assert_allclose(floats, test.inputs, atol=1e-5)
    together = [made.pool.inputs, made.validation.inputs, made.validation.inputs]
    floats = prepared(made.learner.model, np.concatenate(together))
    assert abs(floats.mean() - expected.inputs.mean()) < 1e-5
    assert abs(floats.std() - expected.inputs.std()) < 1e-5


def test_constants_of_a_data_set(source):
    made, known = parts(source, normalization="cifar10"), NORMALIZATIONS["cifar10"]
    floats = prepared(made.learner.model, made.pool.inputs)
    expected = by_definition(made.pool.inputs, known.mean, known.std)
    np.testing.assert_allclose(floats, expected, atol=1e-6)


def test_without_standardisation_pixels_are_scaled(source):
    made = parts(source, standardize=False)
    floats = prepared(made.learner.model, made.pool.inputs)
    np.testing.assert_allclose(floats, made.pool.inputs / 255, atol=1e-6)


def test_noise_is_that_of_normalised_numbers(source):
    plain, noisy = parts(source), parts(source, noise=0.1)
    assert noisy.pool.inputs.dtype == np.float32
    floats = prepared(plain.learner.model, plain.test.inputs)
    np.testing.assert_allclose(noisy.test.inputs, floats, atol=1e-6)
    np.testing.assert_array_equal(
        prepared(noisy.learner.model, noisy.pool.inputs), noisy.pool.inputs
    )


def test_floats_and_columns_are_standardised_as_ever(tmp_path):
    columns = np.arange(60, dtype=np.int64).reshape(20, 3)
    np.savez(tmp_path / "columns.npz", inputs=columns, labels=np.arange(20) % 2)
    for source in ("sklearn:digits", f"npz:{tmp_path / 'columns.npz'}"):
        made, expected = parts(source), data.load(source)
        jax.tree.map(np.testing.assert_array_equal, (made.pool, made.test), expected)
        assert made.learner.model.prepare is None


@bad_inputs(
    {
        "columns": ({"normalization": "cifar10", "flat": True}, ValueError, "'pool', as 'cifar10'"),
        "off": ({"normalization": "svhn", "standardize": False}, ValueError, "needs data.standard"),
    }
)
def test_bad_normalization(source, given, error, message):
    with pytest.raises(error, match=f"data.normalization: .*{message}"):
        parts(source, **given)


def test_constants_are_for_images():
    with pytest.raises(ValueError, match="data.normalization: expected 'pool', as 'mnist' is for"):
        parts("sklearn:digits", normalization="mnist")


def test_mixed_types_of_train_and_test_are_refused(tmp_path):
    raw, labels = np.asarray(pixels(6)), np.arange(6) % 2
    kinds = {"x_train": raw, "y_train": labels, "x_test": raw / 255, "y_test": labels}
    np.savez(tmp_path / "mixed.npz", **kinds)
    with pytest.raises(TypeError, match="expected train and test inputs of one type, got uint8"):
        data.load(f"npz:{tmp_path / 'mixed.npz'}")


def normalized(model=SMALL, **given):
    return models.normalized(model, **given)


NUMBERS = {
    "a table": {},
    "none": None,
    "text": ["x"],
    "empty": [],
    "ragged": [1.0, [2.0]],
    "a matrix": np.ones((2, 2)),
}


@refused(
    tables(
        normalized=each(
            normalized,
            model=OTHERS | {"none": None, "functions": (len, len, len)},
            mean=NUMBERS | {"NaN": [0.1, NAN], "infinite": np.inf},
            std=NUMBERS | {"NaN": [0.1, NAN], "zero": 0.0, "negative": [1.0, -1.0]},
            scale=but(POSITIVE, "a list"),
        ),
        lengths=each(lambda std: normalized(mean=[1.0, 2.0], std=std), std={"three": [1.0, 2, 3]}),
    )
)
def test_refused(call, argument):
    check_refused(call, argument)


def test_another_number_of_channels_is_refused():
    with pytest.raises(ValueError, match=r"inputs: expected a last axis of 3, .* \(1, 2\)"):
        prepared(models.normalized(SMALL, MEAN, STD), jnp.zeros((1, 2), jnp.uint8))
