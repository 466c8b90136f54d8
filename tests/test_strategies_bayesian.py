"""Bayesian, stochastic and adversarial strategies: their scores, draws, options and edges."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers import MODES, bad_inputs, clouds, keys, table_model

import jaxal
from jaxal import models, posterior, scores, selection, strategies
from jaxal.pools import devices
from jaxal.posterior import Draws, deep_ensemble, last_layer_laplace, mc_dropout
from jaxal.scores._flat import FlatDraws
from jaxal.strategies import TopScores
from jaxal.training.ensembles import ensemble

ROWS, LABELED, BUDGET = 31, 6, 5
POOL = clouds(ROWS, width=4, spread=2.0)
INPUTS = jnp.asarray(POOL.inputs)
LABELS = np.where(np.arange(ROWS) < LABELED, POOL.labels, -1)
MLP = models.mlp(3, hidden=(8,), dropout=0.3)
ENSEMBLE = ensemble(jaxal.Learner(MLP, optax.adam(1e-2)), 4).model
MODELS = {
    mc_dropout(5): MLP,
    mc_dropout(5, consistent=True): MLP,
    deep_ensemble(): ENSEMBLE,
    last_layer_laplace(5): MLP,
}
MULTIPLE_SCORES = {
    "bald": scores.bald,
    "variation_ratio": scores.variation_ratio,
    "mean_std": scores.mean_std,
}
PREDICTIVE_SCORES = {
    "entropy_dropout": scores.entropy,
    "least_confidence_dropout": scores.least_confidence,
    "margin_dropout": scores.margin,
}


@functools.cache
def variables(model):
    return jax.jit(model.init)(jax.random.key(3), INPUTS[:1])


def acquire(strategy, model=MLP, inputs=INPUTS, labels=LABELS, **options):
    return jaxal.acquire(
        jax.random.key(1),
        strategy,
        model,
        variables(model),
        inputs,
        BUDGET,
        labels=labels,
        **options,
    )


@functools.partial(jax.jit, static_argnums=(0, 1))
def observe(strategy, model, variables, inputs=INPUTS):
    key = jax.random.key(0)
    return strategy.observe(key, model, variables, inputs, jnp.full(len(inputs), -1))


def view(observation, query=None):
    labels = jnp.asarray(LABELS)
    return jaxal.View(observation, labels, labels >= 0, labels < 0, query)


@functools.partial(jax.jit, static_argnums=(0, 1))
def draws(given, model, variables, inputs=INPUTS):
    """All draws, [K, n, C], under the key of `observe`."""
    key = jax.random.key(0)
    kept = given.observe(key, model, variables, inputs, Draws.stack)
    return jnp.moveaxis(kept, 1, 0)


@pytest.mark.slow
@pytest.mark.parametrize("name", MULTIPLE_SCORES)
def test_scores_are_those_of_the_draws(name):
    given = mc_dropout(4)
    found = observe(strategies.make(name, posterior=given), MLP, variables(MLP))
    assert found.shape == (ROWS,)
    expected = jax.jit(MULTIPLE_SCORES[name])(draws(given, MLP, variables(MLP)))
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", PREDICTIVE_SCORES)
def test_dropout_scores_are_those_of_the_mean_prediction(name):
    found = observe(strategies.make(name, num_draws=4), MLP, variables(MLP))
    mean = jax.jit(scores.predictive)(draws(mc_dropout(4), MLP, variables(MLP)))
    np.testing.assert_allclose(found, jax.jit(PREDICTIVE_SCORES[name])(mean), atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", MULTIPLE_SCORES)
def test_acquire_takes_the_top_scores(name):
    picked = acquire(strategies.make(name, posterior=deep_ensemble()), ENSEMBLE)
    score = jax.jit(MULTIPLE_SCORES[name])(draws(deep_ensemble(), ENSEMBLE, variables(ENSEMBLE)))
    expected = selection.take_top(score, jnp.asarray(LABELS < 0), BUDGET)
    np.testing.assert_array_equal(picked.rows, expected.rows)
    np.testing.assert_allclose(picked.scores, expected.scores, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("given", MODELS, ids=repr)
def test_picks_are_the_same_in_any_order_batch_and_mesh(given):
    pick = functools.partial(acquire, strategies.bald(posterior=given), model=MODELS[given])
    rows = pick().rows
    assert len(set(rows.tolist())) == BUDGET and rows.min() >= LABELED
    spread = pick(batch_size=3, mesh=devices.make_mesh(8))
    np.testing.assert_array_equal(spread.rows, rows)
    if given is not last_layer_laplace(5):
        order = np.random.default_rng(0).permutation(ROWS)
        moved = pick(inputs=INPUTS[order], labels=LABELS[order]).rows
        np.testing.assert_array_equal(order[np.asarray(moved)], rows)


# Every posterior, with a score by rows and with one that needs the same model for all rows;
# the other scores with one of them.
SETTINGS = [("bald", given) for given in MODELS]
SETTINGS += [("epig", given) for given in MODELS if given.consistent]
SETTINGS += [("variation_ratio", deep_ensemble()), ("mean_std", last_layer_laplace(5))]
SETTINGS += [("batch_bald", deep_ensemble())]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "given"), SETTINGS, ids=repr)
@pytest.mark.parametrize("mode", MODES)
def test_picks_are_the_same_under_other_settings_of_jax(mode, given, name):
    strategy = strategies.make(name, posterior=given)
    expected = acquire(strategy, MODELS[given])
    with MODES[mode]():
        picked = acquire(strategy, MODELS[given])
    assert picked.rows.dtype == jnp.int32 and picked.scores.dtype == jnp.float32
    if mode == "x64" and (name in ("epig", "batch_bald") or MODELS[given] is MLP):
        # Draws and masks have other bits.
        assert len(set(picked.rows.tolist())) == BUDGET
    else:
        np.testing.assert_array_equal(picked.rows, expected.rows)


def test_laplace_asks_for_what_lies_away_from_the_labels():
    features = np.eye(4, dtype=np.float32)[[0, 0, 1, 1, 2, 2, 3, 3]] * 3
    model = table_model(np.zeros((8, 2), np.float32), features)
    picked = jaxal.acquire(
        jax.random.key(0),
        strategies.mean_std(posterior=last_layer_laplace(200)),
        model,
        {"params": {}},
        np.arange(8),
        2,
        labels=np.array([0, 1, 0, 1, 0, 1, -1, -1]),
        available=np.array([False, True] * 4),
    )
    assert picked.rows[0] == 7


@pytest.mark.slow
@pytest.mark.parametrize("given", [*MODELS][1:], ids=repr)
def test_epig_takes_the_query_for_its_targets(given):
    model, strategy = MODELS[given], strategies.epig(posterior=given)
    observation, query = (
        observe(strategy, model, variables(model), inputs) for inputs in (INPUTS, INPUTS[:3])
    )
    select = jax.jit(strategy.select, static_argnums=2)
    picked = select(jax.random.key(5), view(observation, query), BUDGET)

    @jax.jit
    def of_all_draws(given_view):
        key_draws = jax.random.split(jax.random.key(5))[0]
        logits = given.resolve(key_draws, given_view, Draws.flat).observation.by_draw()
        score = scores.epig(logits, logits[:, :3])
        return selection.take_top(score, given_view.available, BUDGET)

    expected = of_all_draws(view(observation, query))
    np.testing.assert_array_equal(picked.rows, expected.rows)
    np.testing.assert_allclose(picked.scores, expected.scores, rtol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("targets", [1, 8, 1000])
def test_epig_draws_its_targets_from_the_available_rows(targets):
    strategy = strategies.epig(num_targets=targets)
    given = view(observe(strategy, MLP, variables(MLP)))
    assert isinstance(strategy.select, TopScores)
    found = np.asarray(jax.jit(strategy.select.scores)(jax.random.key(0), given))
    logits = given.observation.by_draw()
    each = jax.jit(jax.vmap(lambda target: scores.epig(logits, target[:, None]), 1))
    each = np.asarray(each(logits[:, LABELED:]))
    if targets == 1:
        assert np.isclose(each, found[None], atol=1e-6).all(axis=1).sum() == 1
    elif targets == 8:
        assert each.min(0).max() < found.max() < each.max()
    else:
        np.testing.assert_allclose(found, each.mean(0), rtol=1e-3, atol=1e-6)


def test_epig_of_the_pool_is_the_same_in_any_order():
    order = np.random.default_rng(0).permutation(ROWS)
    moved = acquire(strategies.epig(), inputs=INPUTS[order], labels=LABELS[order])
    np.testing.assert_array_equal(order[np.asarray(moved.rows)], acquire(strategies.epig()).rows)


@pytest.mark.slow
@pytest.mark.parametrize("given", [deep_ensemble(), last_layer_laplace(5)], ids=repr)
def test_batch_bald_takes_all_draws(given):
    model, strategy = MODELS[given], strategies.batch_bald(posterior=given)
    seen = view(observe(strategy, model, variables(model)))
    found = strategy.select(jax.random.key(5), seen, 3)
    key_draws, key_outcomes = jax.random.split(jax.random.key(5))
    logits = given.resolve(key_draws, seen, Draws.flat).observation.by_draw()
    assert logits.shape[1] == ROWS
    expected = selection.batch_bald(key_outcomes, logits, seen.available, 3, num_samples=10_000)
    np.testing.assert_array_equal(found.rows, expected.rows)


@pytest.mark.slow
def test_epig_runs_in_whole_experiments():
    strategy = strategies.epig()
    learner = jaxal.Learner(MLP, optax.adam(1e-2), max_epochs=2)
    run = jaxal.simulate(learner, strategy, POOL, POOL, initial=6, budget=3, rounds=2, query=POOL)
    state, _ = run(jax.random.key(0))
    assert len(set(state.rows.tolist())) == 12 and state.rows.min() >= 0


def fixed(values, nonnegative=True):
    """A strategy whose scores are given."""
    values = jnp.asarray(values)

    def observe(key, model, variables, inputs, labels):
        return values[inputs]

    return jaxal.Strategy(observe, TopScores(nonnegative=nonnegative))


WEIGHTS = {
    "power": lambda s: s**2,
    "softmax": lambda s: np.exp(2 * s),
    "softrank": lambda s: (1.0 + np.argsort(np.argsort(-s))) ** -2,
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", WEIGHTS)
def test_stochastic_draws_rows_by_their_scores(kind):
    values = np.array([0.0, 0.5, 1.0, 1.5, 3.0])
    strategy = strategies.stochastic(fixed(values), kind=kind, coldness=2.0)
    ones = jnp.ones(5, bool)
    seen = jaxal.View(jnp.asarray(values), jnp.full(5, -1), ~ones, ones)
    picked = jax.jit(jax.vmap(lambda key: strategy.select(key, seen, 2)))(keys(4000))
    first = np.bincount(picked.rows[:, 0], minlength=5) / 4000
    expected = WEIGHTS[kind](values) / WEIGHTS[kind](values).sum()
    sigma = np.sqrt(expected * (1 - expected) / 4000)
    assert (abs(first - expected) <= 5 * sigma).all()
    assert (picked.rows[:, 0] != picked.rows[:, 1]).all()
    np.testing.assert_allclose(picked.scores, values[picked.rows])


SCORING = [
    name for name in strategies.names() if isinstance(strategies.make(name).select, TopScores)
]


@pytest.mark.slow
@pytest.mark.parametrize("name", SCORING)
def test_stochastic_takes_every_scoring_strategy(name):
    plain = strategies.make(name)
    cold = strategies.stochastic(plain, kind="softmax", coldness=1e30)

    @jax.jit
    def both(key, same_key, variables):
        seen = view(observe(plain, MLP, variables))
        alone = plain.select(jax.random.split(same_key)[0], seen, BUDGET)
        return cold.select(key, seen, BUDGET).scores, alone.scores

    # Scores that tie may come in any order.
    key = functools.partial(jax.random.key, 0)
    np.testing.assert_array_equal(*both(key(), key(), variables(MLP)))


def test_the_strategies_that_score_row_by_row():
    assert {"bald", "epig", "adversarial_bim", *MULTIPLE_SCORES} <= set(SCORING)
    assert not {"batch_bald", "badge", "core_set", "stochastic"} & set(SCORING)


@pytest.mark.parametrize("name", ["adversarial_bim", "adversarial_deepfool"])
def test_adversarial_strategies_take_the_nearest_to_the_boundary(name):
    # The prediction is the sign of x: the distance to the boundary is |x|, and at 90 it
    # is too far to reach.
    model = models.from_functions(
        lambda key, inputs: {},
        lambda params, x: (jnp.concatenate([x, -jnp.minimum(x, 50)], axis=1), x),
    )
    inputs = np.array([[3.0], [-0.5], [1.0], [-0.2], [90.0], [-2.0]], np.float32)
    strategy = strategies.make(name, max_steps=300)
    picked = jaxal.acquire(jax.random.key(0), strategy, model, {"params": {}}, inputs, 6)
    assert picked.rows.tolist()[:5] == [3, 1, 2, 5, 0]
    distance = np.sqrt(-np.asarray(picked.scores[:5]))
    np.testing.assert_allclose(distance, [0.2, 0.5, 1, 2, 3], atol=0.11, rtol=0.03)


def test_an_example_that_cannot_move_comes_last():
    model = models.from_functions(
        lambda key, inputs: {},
        lambda params, x: (jnp.concatenate([jnp.minimum(x, 5), 0 * x], axis=1), x),
    )
    for name in ("adversarial_bim", "adversarial_deepfool"):
        picked = jaxal.acquire(
            jax.random.key(0),
            strategies.make(name, max_steps=80),
            model,
            {"params": {}},
            np.array([[9.0], [1.0]], np.float32),
            2,
        )
        assert picked.rows.tolist() == [1, 0] and picked.scores[1] == -jnp.inf


def test_options_may_be_named_as_in_a_config():
    made = strategies.make("bald", posterior={"name": "mc_dropout", "num_draws": 7})
    assert made is strategies.bald(posterior=mc_dropout(7))
    assert strategies.make("bald", posterior="mc_dropout") is strategies.bald()
    assert strategies.make("bald", posterior="deep_ensemble") is not strategies.bald()
    table = {"name": "bald", "posterior": {"name": "mc_dropout", "num_draws": 7}}
    assert strategies.make("stochastic", strategy=table) is strategies.stochastic(made)
    assert strategies.stochastic("bald") is strategies.stochastic()
    assert strategies.stochastic(kind="power") is strategies.stochastic()


ALIASES = {
    "bald_dropout": "bald",
    "batch_bald_dropout": "batch_bald",
    "coreset": "core_set",
    "entropy_sampling": "entropy",
    "entropy_sampling_dropout": "entropy_dropout",
    "margin_sampling": "margin",
    "random_sampling": "random",
}


@pytest.mark.parametrize("alias", ALIASES)
def test_distil_names_are_known(alias):
    assert strategies.make(alias) is strategies.make(ALIASES[alias])
    assert alias not in strategies.names()
    with pytest.raises(ValueError, match=f"did you mean '{alias}'"):
        strategies.make(alias + "s")


def message(error, call, *args, **options):
    with pytest.raises(error) as raised:
        call(*args, **options)
    return str(raised.value)


@bad_inputs(
    {
        "K of 0": (("entropy_dropout", {"num_draws": 0}), ValueError, "integer >= 1, got 0"),
        "K in a table": (
            ("bald", {"posterior": {"name": "mc_dropout", "num_draws": 0}}),
            ValueError,
            "integer >= 1, got 0",
        ),
        "posterior": (("bald", {"posterior": "dropout"}), ValueError, "did you mean 'mc_dropout'"),
        "posterior's option": (
            ("bald", {"posterior": {"name": "mc_dropout", "num_drops": 3}}),
            ValueError,
            "^posterior mc_dropout: option 'num_drops' is unknown; did you mean 'num_draws'",
        ),
        "not joint": (
            ("epig", {"posterior": "mc_dropout"}),
            ValueError,
            r"mc_dropout\(consistent=True\)",
        ),
        "not joint either": (
            ("batch_bald", {"posterior": mc_dropout(3)}),
            ValueError,
            r"got mc_dropout\(3, consistent=False\)",
        ),
        "targets": (("epig", {"num_targets": 0}), ValueError, "num_targets: expected an integer"),
        "samples": (("batch_bald", {"num_samples": 0}), ValueError, "num_samples"),
        "coldness": (("stochastic", {"coldness": -1.0}), ValueError, "coldness: expected a finite"),
        "kind": (("stochastic", {"kind": "powers"}), ValueError, "did you mean 'power'"),
        "wrapped": (("stochastic", {"strategy": "blad"}), ValueError, "did you mean 'bald'"),
        "below 0": (("stochastic", {"strategy": "margin_dropout"}), ValueError, "of at least 0"),
        "epsilon": (("adversarial_bim", {"epsilon": 0.0}), ValueError, "epsilon"),
        "steps": (("adversarial_deepfool", {"max_steps": 0}), ValueError, "max_steps"),
        "half a step": (("adversarial_bim", {"max_steps": 2.5}), TypeError, "max_steps"),
        "overshoot": (("adversarial_deepfool", {"overshoot": -0.1}), ValueError, "overshoot"),
    }
)
def test_bad_options(given, error, message):
    name, options = given
    with pytest.raises(error, match=message):
        strategies.make(name, **options)


def test_bad_types():
    said = message(TypeError, strategies.make, "bald", posterior=20)
    assert said == ("posterior: expected a Posterior, its name, or a table with its name, got 20")
    said = message(TypeError, strategies.make, "bald", posterior={"num_draws": 3})
    assert "a table with its name" in said
    for name in ("core_set", "batch_bald"):
        said = message(TypeError, strategies.stochastic, strategies.make(name))
        assert "scores rows one by one" in said


def test_targets_of_the_wrong_width():
    strategy = strategies.epig()
    seen = observe(strategy, MLP, variables(MLP))
    said = message(
        ValueError,
        strategy.select,
        jax.random.key(0),
        view(seen, query=FlatDraws.of_rows(seen.by_draw()[:, :3, :2].swapaxes(0, 1))),
        BUDGET,
    )
    assert "target_logits: expected shape" in said


@pytest.mark.parametrize("name", ["epig", "core_mse", "batch_bald"])
def test_draws_of_one_class_are_refused(name):
    seen = view(FlatDraws.of_rows(jnp.zeros((ROWS, 3, 1))))
    assert "at least 2" in message(
        ValueError, strategies.make(name).select, jax.random.key(0), seen, BUDGET
    )


def test_draws_of_16_bits_are_scored_in_32():
    half = observe(strategies.epig(), MLP, variables(MLP)).astype(jnp.bfloat16)
    seen = view(half, half[jnp.arange(3)])
    picked = jax.jit(strategies.epig().select, static_argnums=2)(jax.random.key(0), seen, BUDGET)
    score = jax.jit(scores.epig)(half.by_draw(), half.by_draw()[:, :3])
    expected = selection.take_top(score, seen.available, BUDGET)
    assert picked.scores.dtype == jnp.float32
    np.testing.assert_array_equal(picked.rows, expected.rows)
    np.testing.assert_allclose(picked.scores, expected.scores, rtol=1e-4)


def test_defaults_are_described_as_they_are_written():
    described = {known.name: known for known in strategies.describe()}
    assert repr(described["bald"].options["posterior"]).startswith("mc_dropout(20")
    assert described["stochastic"].options["strategy"] == "bald"
    assert posterior.make("mc_dropout") is described["bald"].options["posterior"]
