"""Posteriors: what their draws depend on, their laws, and what they refuse."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from helpers import bad_inputs, clouds, keys, softmax

import jaxal
from jaxal import models, posterior
from jaxal.numerics import derive_keys
from jaxal.posterior import (
    Draws,
    deep_ensemble,
    last_layer_laplace,
    mc_dropout,
    variational_last_layer,
)
from jaxal.posterior.dropout import fingerprint, mix
from jaxal.training.ensembles import ensemble

INPUTS = jnp.asarray(clouds(rows=23).inputs)


@functools.cache
def trained(model):
    return jax.jit(model.init)(jax.random.key(1), INPUTS[:1])


def stacked(given, model, inputs, key=0):
    """All draws of a batch, [n, K, C]."""
    return _stacked(given, model, jax.random.key(key), trained(model), inputs)


@functools.partial(jax.jit, static_argnums=(0, 1))
def _stacked(given, model, key, variables, inputs):
    return given.observe(key, model, variables, inputs, Draws.stack)


def masked_inputs():
    """A model whose logits are its inputs under dropout: the masks can be read off."""

    def apply(params, inputs, *, key):
        if key is not None:
            inputs = inputs * jax.random.bernoulli(key, 0.5, inputs.shape)
        return inputs, inputs

    return models.from_functions(lambda key, inputs: {}, apply)


MASKED, MLP = masked_inputs(), models.mlp(3, hidden=(16,), dropout=0.5)


@pytest.mark.slow
@pytest.mark.parametrize("consistent", [False, True])
@pytest.mark.parametrize("model", [MASKED, MLP])
def test_dropout_draws_of_a_row_depend_on_that_row_alone(model, consistent):
    given = mc_dropout(4, consistent=consistent)
    whole = stacked(given, model, INPUTS)
    parts = [stacked(given, model, INPUTS[i : i + 7]) for i in (0, 7, 14, 16)]
    found = jnp.concatenate([*parts[:3], parts[3][5:]])
    np.testing.assert_allclose(found, whole, atol=1e-5)
    order = np.random.default_rng(0).permutation(23)
    moved = stacked(given, model, INPUTS[order])
    np.testing.assert_allclose(moved, whole[order], atol=1e-5)


@pytest.mark.parametrize("consistent", [False, True])
def test_dropout_masks_are_shared_by_all_rows_only_if_consistent(consistent):
    ones = jnp.ones((50, 40)) + jnp.arange(50)[:, None]
    masks = np.asarray(stacked(mc_dropout(6, consistent=consistent), MASKED, ones)) > 0
    shared = (masks == masks[:1]).all(axis=(1, 2))
    assert shared.all() if consistent else shared.sum() == 1
    assert not (masks[:, :1] == masks[:, 1:]).all(axis=(0, 2)).any()
    # 12,000 (240 if shared) fair coins.
    flips = masks[:1] if consistent else masks
    assert abs(flips.mean() - 0.5) < 4 * 0.5 / np.sqrt(flips.size)
    other = stacked(mc_dropout(6, consistent=consistent), MASKED, ones, key=1)
    assert (masks != (np.asarray(other) > 0)).any()


def test_copies_of_an_example_share_their_masks():
    copies = jnp.ones((3, 40))
    draws = stacked(mc_dropout(2), MASKED, copies)
    np.testing.assert_array_equal(draws[1:], draws[:1].repeat(2, 0))


@pytest.mark.slow
def test_dropout_leaves_running_statistics_alone():
    images = jax.random.normal(jax.random.key(0), (6, 8, 8, 1))
    model = models.cnn(3, channels=(4,), hidden=8, dropout=0.5, batch_norm=True)
    variables = jax.jit(model.init)(jax.random.key(1), images)
    whole, part = (
        _stacked(mc_dropout(3), model, jax.random.key(0), variables, inputs)
        for inputs in (images, images[:2])
    )
    # With statistics of the batch, other examples would change the result.
    np.testing.assert_allclose(whole[:2], part, atol=1e-5)


@pytest.mark.slow
def test_dropout_inputs_may_be_a_pytree_and_run_under_jit_and_vmap():
    def apply(params, inputs, *, key=None):
        x = inputs["a"] + inputs["b"].astype(float)[:, None]
        keep = 1.0 if key is None else jax.random.bernoulli(key, 0.5, x.shape)
        return x * keep, x

    model = models.from_functions(lambda key, inputs: {}, apply)
    inputs = {"a": INPUTS, "b": jnp.arange(23)}

    def run(key):
        return mc_dropout(3).observe(key, model, {"params": {}}, inputs, Draws.stack)

    batch = jax.jit(jax.vmap(run))(keys(2))
    assert batch.shape == (2, 23, 3, 5)
    np.testing.assert_allclose(batch[1], run(keys(2)[1]), atol=1e-6)


class Net(nnx.Module):
    def __init__(self, rate, rngs):
        self.dense = nnx.Linear(5, 3, rngs=rngs)
        self.dropout = nnx.Dropout(rate, rngs=rngs)

    def __call__(self, inputs):
        return self.dense(self.dropout(inputs)), inputs


NO_DROPOUT = {
    "rate 0": models.mlp(3, hidden=(4,)),
    "logistic": models.logistic(3),
    "key unread": models.from_functions(
        lambda key, inputs: {}, lambda params, inputs: (inputs, inputs)
    ),
    "nnx": models.from_nnx(lambda rngs: Net(0.0, rngs)),
    "features alone": models.from_functions(
        lambda key, inputs: {},
        lambda params, inputs, *, key=None: (
            inputs,
            inputs if key is None else inputs + jax.random.uniform(key),
        ),
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", NO_DROPOUT)
def test_a_model_without_dropout_is_an_error(name):
    model = NO_DROPOUT[name]
    message = "no dropout, so all draws would be equal"
    with pytest.raises(ValueError, match=message):
        stacked(mc_dropout(2), model, INPUTS)
    strategy = jaxal.strategies.bald(posterior=mc_dropout(2))
    with pytest.raises(ValueError, match=message):
        jaxal.acquire(jax.random.key(0), strategy, model, trained(model), INPUTS, 2)


def test_dropout_of_nnx_is_seen():
    model = models.from_nnx(lambda rngs: Net(0.5, rngs))
    draws = stacked(mc_dropout(3), model, INPUTS)
    assert float(jnp.min(jnp.ptp(draws, axis=1).max(-1))) > 0


def test_derived_keys_are_fair_and_their_streams_are_unrelated():
    """Keys of neighbouring numbers, folded as flax folds them: the worst case for a weak hash."""

    def stream(key, row):
        key = jax.random.fold_in(derive_keys(key, row[None])[0], 7)
        return jax.random.bernoulli(key, 0.5, (256,))

    draws = derive_keys(jax.random.key(3), mix(jnp.arange(1, 9, dtype=jnp.uint32)))
    rows = jnp.arange(256, dtype=jnp.uint32)
    over_rows = jax.vmap(stream, (None, 0))
    coins = np.asarray(jax.jit(jax.vmap(over_rows, (0, None)))(draws, rows)).reshape(-1, 256)
    signs = 2.0 * coins - 1.0
    assert (abs(signs.mean(0)) < 5 / np.sqrt(2048)).all()
    assert (abs(signs.mean(1)) < 5 / np.sqrt(256)).all()
    # All pairs of places, and of streams: correlations of a fair coin, in units of their sigma.
    for table in (signs, signs.T):
        pairs = (table.T @ table / np.sqrt(len(table)))[np.triu_indices(table.shape[1], 1)]
        assert abs(pairs).max() < 6.5 and abs(pairs.std() - 1) < 0.03


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "float16", "uint8", "int32", "bool"])
def test_fingerprints_tell_examples_apart(dtype):
    values = np.random.default_rng(0).integers(0, 2, (2000, 4, 16)).astype(dtype)
    numbers = np.asarray(fingerprint((jnp.asarray(values), jnp.zeros((2000, 3)))))
    assert numbers.dtype == np.uint32 and len(set(numbers)) == 2000
    # Each bit is fair: 2000 coins, 32 times.
    bits = (numbers[:, None] >> np.arange(32, dtype=np.uint32)) & 1
    assert (abs(bits.mean(0) - 0.5) < 5 * 0.5 / np.sqrt(2000)).all()


@functools.partial(jax.jit, static_argnums=(0,))
def laplace_draws(given, view, key=0):
    return given.resolve(jax.random.key(key), view, Draws.stack)


def outputs_view(logits, features, labeled, query=None):
    """A view of a pool whose outputs are known; `query` rows of the same."""
    outputs = jaxal.Outputs(jnp.asarray(logits), jnp.asarray(features))
    labels = jnp.where(jnp.asarray(labeled), 0, -1)
    query = None if query is None else jax.tree.map(lambda leaf: leaf[query], outputs)
    return jaxal.View(outputs, labels, labels >= 0, labels < 0, query)


@pytest.mark.parametrize("likelihood", ["gaussian", "categorical"])
def test_laplace_draws_have_the_closed_form_covariance(likelihood):
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(8, 2)).astype(np.float32)
    features = rng.normal(size=(8, 3)).astype(np.float32)
    labeled = np.arange(8) < 4
    given = last_layer_laplace(20_000, prior_precision=0.5, likelihood=likelihood)
    draws = laplace_draws(given, outputs_view(logits, features, labeled)).observation
    assert draws.shape == (8, 20_000, 2)

    h = np.concatenate([features, np.ones((8, 1))], axis=1).astype(np.float64)
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    weights = np.ones(8) if likelihood == "gaussian" else p.max(1) * (1 - p.max(1))
    precision = 0.5 * np.eye(4) + (h.T * (weights * labeled)) @ h
    expected = h @ np.linalg.inv(precision) @ h.T
    noise = np.asarray(draws, np.float64) - logits[:, None]
    variance = np.diag(expected)
    k_sigma = 5 / np.sqrt(20_000)
    assert (abs(noise.mean(1)) < k_sigma * np.sqrt(variance)[:, None]).all()
    spread = np.sqrt(np.outer(variance, variance) + expected**2)
    for c in range(2):
        found = noise[:, :, c] @ noise[:, :, c].T / 20_000
        assert (abs(found - expected) < k_sigma * spread).all()
    between = noise[:, :, 0] @ noise[:, :, 1].T / 20_000
    assert (abs(between) < k_sigma * np.sqrt(variance[:, None] * variance[None])).all()


def test_laplace_by_the_gauss_newton_of_the_softmax():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(6, 3)).astype(np.float32)
    features = rng.normal(size=(6, 2)).astype(np.float32)
    features[5] = np.nan  # no labelled row
    given = last_layer_laplace(20_000, prior_precision=0.5, likelihood="softmax")
    drawn = laplace_draws(given, outputs_view(logits, features, np.arange(6) < 3)).observation[:5]

    h = np.concatenate([features, np.ones((6, 1))], axis=1).astype(np.float64)[:5]
    precision = 0.5 * np.eye(9)
    for p, row in zip(softmax(logits)[:3], h, strict=False):
        precision += np.kron(np.diag(p) - np.outer(p, p), np.outer(row, row))
    maps = np.stack([np.kron(np.eye(3), row) for row in h]).reshape(15, 9)
    expected = maps @ np.linalg.inv(precision) @ maps.T
    noise = np.swapaxes(np.asarray(drawn, np.float64) - logits[:5, None], 1, 2).reshape(15, -1)
    variance = np.diag(expected)
    spread = np.sqrt(np.outer(variance, variance) + expected**2)
    assert (abs(noise @ noise.T / 20_000 - expected) < 5 / np.sqrt(20_000) * spread).all()


def test_the_variational_last_layer_is_where_the_bound_is_largest():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(7, 3)).astype(np.float32)
    features = rng.normal(size=(7, 2)).astype(np.float32)
    features[6] = np.nan  # no labelled row
    given = variational_last_layer(20_000, prior_precision=0.5)
    drawn = laplace_draws(given, outputs_view(logits, features, np.arange(7) < 4)).observation[:6]

    h = np.concatenate([features, np.ones((7, 1))], axis=1).astype(np.float64)[:6]

    def precisions(variance):
        shares = softmax(logits[:4] + variance[:4] / 2)
        return [0.5 * np.eye(3) + (h[:4].T * share) @ h[:4] for share in shares.T]

    variance = np.zeros((6, 3))
    for _ in range(200):
        covariances = np.linalg.inv(precisions(variance))
        variance = (variance + np.einsum("nd,cde,ne->nc", h, covariances, h)) / 2
    # Where no S_c can be moved for a larger bound: log det S_c less its trace and the loss, by S_c.
    np.testing.assert_allclose(np.linalg.inv(covariances), precisions(variance), rtol=1e-6)
    noise = np.asarray(drawn, np.float64) - logits[:6, None]
    np.testing.assert_allclose(noise.var(1), variance, rtol=6 * np.sqrt(2 / 20_000))
    between = (noise[:, :, 0] * noise[:, :, 1]).mean(1) / np.sqrt(variance[:, 0] * variance[:, 1])
    assert (abs(between) < 5 / np.sqrt(20_000)).all()


def test_laplace_draws_are_joint_with_the_query():
    rng = np.random.default_rng(0)
    logits, features = rng.normal(size=(6, 2)), rng.normal(size=(6, 3))
    view = outputs_view(logits, features, np.arange(6) < 2, query=jnp.array([4, 2]))
    drawn = laplace_draws(last_layer_laplace(5), view)
    np.testing.assert_allclose(drawn.query, drawn.observation[jnp.array([4, 2])], atol=1e-6)
    assert drawn.private is None


def test_laplace_without_labels_is_the_prior_and_ignores_rows_without():
    view = outputs_view(np.zeros((3, 2)), np.array([[2.0], [1.0], [np.nan]]), [0, 0, 0])
    draws = laplace_draws(last_layer_laplace(5000, prior_precision=4.0), view)
    std = np.asarray(draws.observation[:2]).std(1)
    np.testing.assert_allclose(std, np.sqrt([[5 / 4] * 2, [2 / 4] * 2]), rtol=0.06)


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e4])
def test_laplace_survives_features_of_any_scale(scale):
    rng = np.random.default_rng(0)
    features = scale * rng.normal(size=(60, 4)) @ rng.normal(size=(4, 100))  # rank 4
    view = outputs_view(np.zeros((60, 3)), features, np.arange(60) < 50)
    draws = laplace_draws(last_layer_laplace(4), view).observation
    assert bool(jnp.isfinite(draws).all())


LEARNER = jaxal.Learner(
    MLP, optax.adam(1e-2), batch_size=8, max_epochs=40, max_accuracy=0.8, window=0
)
POOL = clouds(rows=24)


@functools.partial(jax.jit, static_argnums=(0,))
def fit(learner, key_init, key_fit):
    inputs, labels = jnp.asarray(POOL.inputs), jnp.asarray(POOL.labels)
    start = learner.model.init(key_init, inputs[:1])
    return learner.fit(key_fit, start, inputs, labels, jnp.ones(24), jnp.int32(20))


@pytest.mark.slow
def test_ensemble_members_are_those_fitted_one_by_one():
    variables, info = fit(ensemble(LEARNER, 3), *keys(2))
    each = [jax.random.split(key, 3) for key in keys(2)]
    alone = [fit(LEARNER, *pair) for pair in zip(*each, strict=True)]
    expected = jax.tree.map(lambda *leaves: jnp.stack(leaves), *alone)
    assert len(set(expected[1].epochs.tolist())) > 1
    for found, wanted in zip(jax.tree.leaves(variables), jax.tree.leaves(expected[0]), strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-5)
    assert info.epochs == expected[1].epochs.max()
    np.testing.assert_allclose(info.accuracy, expected[1].accuracy.mean(), rtol=1e-6)
    np.testing.assert_allclose(info.loss, expected[1].loss.mean(), rtol=1e-5)


@pytest.mark.slow
def test_ensemble_predicts_the_mean_probability_and_its_members_differ():
    learner = ensemble(LEARNER, 3)
    variables, _ = fit(learner, *keys(2))
    logits, features = learner.model.apply(variables, INPUTS)
    draws = _stacked(deep_ensemble(), learner.model, jax.random.key(0), variables, INPUTS)
    members = []
    for i in range(3):
        member = MLP.apply(jax.tree.map(lambda leaf, i=i: leaf[i], variables), INPUTS)
        np.testing.assert_allclose(draws[:, i], member.logits, atol=1e-5)
        np.testing.assert_allclose(features[:, 16 * i : 16 * (i + 1)], member.features, atol=1e-5)
        members.append(member)
    assert float(jnp.abs(draws[:, 0] - draws[:, 1]).max()) > 0.01
    mean = np.mean([jax.nn.softmax(member.logits) for member in members], axis=0)
    np.testing.assert_allclose(np.exp(logits), mean, atol=1e-5)


@pytest.mark.slow
def test_ensemble_runs_whole_experiments():
    learner = ensemble(LEARNER, 2)
    run = jaxal.simulate(
        learner,
        jaxal.strategies.bald(posterior=deep_ensemble()),
        POOL,
        POOL,
        initial=6,
        budget=3,
        rounds=2,
    )
    state, info = run(jax.random.key(0))
    assert info.test.accuracy.shape == (3,)
    assert len(set(state.rows.tolist())) == 12 and state.rows.min() >= 0


def test_ensemble_is_a_model_that_can_be_trained_and_dropped_out():
    model = ensemble(LEARNER, 2).model
    variables = trained(model)
    train = jax.jit(model.train)
    outputs, changed = train(variables, INPUTS, key=jax.random.key(0))
    assert outputs.logits.shape == (23, 3)
    assert jax.tree.structure(changed) == jax.tree.structure(variables)
    assert stacked(mc_dropout(2), model, INPUTS).shape == (23, 2, 3)


def test_equal_calls_return_the_identical_posterior():
    assert mc_dropout() is mc_dropout(20, consistent=False)
    assert posterior.make("last_layer_laplace") is last_layer_laplace(20)
    assert posterior.make("deep_ensemble") is deep_ensemble()
    assert ensemble(LEARNER, 2) is ensemble(LEARNER, members=2)
    assert last_layer_laplace(prior_precision=1) is last_layer_laplace()
    assert mc_dropout(np.int64(20)) is mc_dropout()  # pyright: ignore[reportArgumentType]
    last_layers = ("last_layer_laplace", "variational_last_layer")
    assert posterior.names() == tuple(sorted(("deep_ensemble", "mc_dropout", *last_layers)))


def test_posteriors_print_as_they_are_made():
    for given in (mc_dropout(3), last_layer_laplace(), deep_ensemble(), variational_last_layer()):
        assert eval(repr(given)) is given


@bad_inputs(
    {
        "K of 0": (lambda: mc_dropout(0), ValueError, "num_draws: expected an integer >= 1, got 0"),
        "K below 0": (lambda: last_layer_laplace(-2), ValueError, "num_draws.*got -2"),
        "K no integer": (lambda: mc_dropout(2.5), TypeError, "num_draws.*integer, got 2.5"),  # pyright: ignore[reportArgumentType]
        "K a bool": (lambda: mc_dropout(True), TypeError, "num_draws.*integer, got True"),
        "K a bool, 1 known": (lambda: (mc_dropout(1), mc_dropout(True)), TypeError, "got True"),
        "precision": (lambda: last_layer_laplace(prior_precision=0), ValueError, "prior_precision"),
        "likelihood": (
            lambda: last_layer_laplace(likelihood="gausian"),
            ValueError,
            "likelihood: 'gausian' is unknown; did you mean 'gaussian'",
        ),
        "name": (
            lambda: posterior.make("mc_dropuot"),
            ValueError,
            "^posterior: 'mc_dropuot' is unknown; did you mean 'mc_dropout'",
        ),
        "option": (
            lambda: posterior.make("mc_dropout", draws=3),
            ValueError,
            "^posterior mc_dropout: option 'draws' is unknown; did you mean 'num_draws'",
        ),
        "no options": (lambda: posterior.make("deep_ensemble", k=3), ValueError, "it has none"),
        "no members": (lambda: ensemble(LEARNER, 0), ValueError, "^members: expected"),
    }
)
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_deep_ensemble_of_a_single_model_is_an_error():
    with pytest.raises(TypeError, match=r"jaxal.ensemble\(learner, members\)"):
        stacked(deep_ensemble(), MLP, INPUTS)
