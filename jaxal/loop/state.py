"""The active-learning loop as pure functions of a state: fit, observe, select, label, again.

Shapes never change: the labelled set is a buffer of row numbers with a count, so one trace serves all
rounds. The key of a round is `fold_in(key, round)`: a resumed run equals an unbroken one.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from jaxal.base import Examples, PyTree, Selection, Strategy
from jaxal.greedy.take import take_balanced, take_top
from jaxal.loop import _acquire as acquisition
from jaxal.loop._acquire import ExampleSets
from jaxal.pools.memory import Pool
from jaxal.training.evaluation import Metrics, evaluate
from jaxal.training.learner import AnyLearner, FitInfo


class State(NamedTuple):
    """What a round hands the next; M is the capacity, the most labels there will be."""

    rows: jax.Array  # [M] int32, labelled rows in the order labelled, then -1
    labels: jax.Array  # [M] int32, their labels, then -1
    weights: jax.Array  # [M] float32, their weights in training
    count: jax.Array  # [] int32, how many there are
    round: jax.Array  # [] int32
    key: jax.Array  # [] typed key, never consumed: each round folds its number in
    variables: PyTree  # of the newest model


class RoundInfo(NamedTuple):
    """What a round reports and no later round needs."""

    labels: jax.Array  # [] int32, how many the model was trained on
    epochs: jax.Array  # [] int32
    train: Metrics  # of the labelled rows, after training
    test: Metrics
    rows: jax.Array  # [B] int32, what was picked next; -1 in the last round of a run
    scores: jax.Array  # [B]


def init(
    key: jax.Array,
    learner: AnyLearner,
    pool: Pool,
    *,
    initial: int | jax.Array,
    capacity: int,
    balanced: bool = False,
) -> State:
    """The state before the first round.

    Args:
      key: random key; it stays in the state.
      learner: whose model is initialised.
      pool: from `jaxal.pool.place`.
      initial: how many rows to draw at random to begin with, or the rows themselves, whose labels
        the pool knows.
      capacity: M, the most labels there will be.
      balanced: draw as many rows of each class, as nearly as can be, if `initial` is a number.

    Returns:
      `State` of round 0.

    Raises:
      ValueError: more initial rows than capacity or pool rows, or none.
    """
    key_rows, key_model, key_rounds = jax.random.split(key, 3)
    if not isinstance(initial, int):
        rows = jnp.asarray(initial, jnp.int32)
    elif balanced:
        rows = take_balanced(key_rows, pool.labels, pool.valid, initial)
    else:
        noise = jax.random.uniform(key_rows, pool.valid.shape)
        rows = take_top(noise, pool.valid, initial).rows
    if not 1 <= len(rows) <= capacity:
        raise ValueError(f"initial: expected 1 to {capacity} (the capacity), got {len(rows)}")
    first = jax.tree.map(lambda leaf: leaf[:1], pool.inputs)
    state = State(
        rows=jnp.full(capacity, -1, jnp.int32),
        labels=jnp.full(capacity, -1, jnp.int32),
        weights=jnp.zeros(capacity),
        count=jnp.int32(0),
        round=jnp.int32(-1),
        key=key_rounds,
        variables=learner.model.init(key_model, first),
    )
    return tell(state, rows, pool.labels[rows])


def tell(
    state: State, rows: jax.Array, labels: jax.Array, weights: jax.Array | None = None
) -> State:
    """Adds labelled rows to the state and begins the next round.

    Args:
      state: before.
      rows: [B] int32; from the first -1 on they are passed over, and so is what the capacity cannot hold.
      labels: [B] integers.
      weights: [B] in training; 1 if not given.
    """
    rows = jnp.asarray(rows, jnp.int32)
    used = jnp.cumprod(rows >= 0).astype(bool)
    slots = jnp.where(used, state.count + jnp.arange(len(rows)), len(state.rows))
    weights = jnp.ones(len(rows)) if weights is None else weights
    return state._replace(
        rows=state.rows.at[slots].set(rows),
        labels=state.labels.at[slots].set(jnp.asarray(labels, jnp.int32)),
        weights=state.weights.at[slots].set(weights),
        count=jnp.minimum(state.count + jnp.sum(used), len(state.rows)),
        round=state.round + 1,
    )


def reveal(state: State, pool: Pool, picked: Selection) -> State:
    """Tells the state the labels that the pool knows of the picked rows, with the weights of the picks."""
    return tell(state, picked.rows, pool.labels[picked.rows], picked.weights)


def _keys(state: State) -> dict[str, jax.Array]:
    """The keys of a round, by stage."""
    stages = ("fit", "observe", "select")
    keys = jax.random.split(jax.random.fold_in(state.key, state.round), len(stages))
    return dict(zip(stages, keys, strict=True))


def known_labels(state: State, pool: Pool) -> jax.Array:
    """The labels told so far by pool row, [N] int32, -1 elsewhere: all that a strategy may know."""
    rows = jnp.where(state.rows >= 0, state.rows, len(pool.valid))
    return jnp.full(pool.valid.shape, -1, jnp.int32).at[rows].set(state.labels)


def fit(
    state: State, learner: AnyLearner, pool: Pool, extras: ExampleSets = ExampleSets()
) -> tuple[State, FitInfo]:
    """Fits the learner's model to the labelled rows; the validation examples are the learner's too."""
    rows = jnp.maximum(state.rows, 0)
    variables, info = learner.fit(
        _keys(state)["fit"],
        state.variables,
        jax.tree.map(lambda leaf: leaf[rows], pool.inputs),
        jnp.maximum(state.labels, 0),
        state.weights,
        state.count,
        extras.validation,
    )
    return state._replace(variables=variables), info


def measure(
    state: State,
    learner: AnyLearner,
    pool: Pool,
    test: Examples,
    fitted: FitInfo,
    batch_size: int,
) -> tuple[Metrics, Metrics]:
    """The metrics of the labelled rows and of the test examples, after a fit.

    A loss that was not finite in training is reported as it was, whatever the model says now.
    """
    rows = jnp.maximum(state.rows, 0)
    inputs = jax.tree.map(lambda leaf: leaf[rows], pool.inputs)
    model, variables = learner.model, state.variables
    train = evaluate(model, variables, inputs, state.labels, batch_size=batch_size)
    loss = jnp.where(jnp.isfinite(fitted.loss), train.loss, fitted.loss)
    tested = evaluate(model, variables, test.inputs, test.labels, batch_size=batch_size)
    return train._replace(loss=loss), tested


def observe(
    state: State,
    learner: AnyLearner,
    strategy: Strategy,
    pool: Pool,
    extras: ExampleSets = ExampleSets(),
    *,
    batch_size: int,
    mesh: Mesh | None = None,
) -> tuple[PyTree, dict[str, PyTree]]:
    """What the strategy needs of every pool row, and of the further examples."""
    # One key for all: a draw of the model is the same for the pool and the query.
    key, model = _keys(state)["observe"], learner.model
    observe_rows = partial(
        acquisition.observe, strategy=strategy, model=model, batch_size=batch_size
    )
    observation = observe_rows(
        key,
        variables=state.variables,
        inputs=pool.inputs,
        labels=known_labels(state, pool),
        mesh=mesh,
    )
    observed = {
        name: observe_rows(
            key,
            variables=state.variables,
            inputs=examples[0],
            labels=examples[1],
        )
        for name, examples in extras._asdict().items()
        if examples is not None
    }
    return observation, observed


def select(
    state: State,
    strategy: Strategy,
    pool: Pool,
    observed: tuple[PyTree, dict[str, PyTree]],
    budget: int,
) -> Selection:
    """The strategy's decision on what it observed, among the rows not labelled yet."""
    labels = known_labels(state, pool)
    observation, extras = observed
    available = (labels < 0) & pool.valid
    key = _keys(state)["select"]
    return acquisition.select(key, strategy, observation, labels, available, budget, extras)


STATIC = ("learner", "strategy", "budget", "batch_size", "mesh")


@partial(jax.jit, static_argnames=STATIC)
def ask(
    state: State,
    learner: AnyLearner,
    strategy: Strategy,
    pool: Pool,
    budget: int,
    extras: ExampleSets = ExampleSets(),
    *,
    batch_size: int = 1024,
    mesh: Mesh | None = None,
) -> tuple[State, Selection]:
    """Fits the model to the labels told so far and picks the rows to label next; `tell` takes them.

    Args:
      state: from `init` or `tell`.
      learner: the model and how it is fitted.
      strategy: the rule.
      pool: from `jaxal.pool.place`.
      budget: how many rows; -1 past the last available one.
      extras: query, private and validation examples, `(inputs, labels)` each.
      batch_size: rows that go through the model at once on a device.
      mesh: as given to `place`.

    Returns:
      The state with the fitted model, and the `Selection` (with weights if the strategy weighs its picks;
      `tell` takes them as well).
    """
    state, _ = fit(state, learner, pool, extras)
    observed = observe(state, learner, strategy, pool, extras, batch_size=batch_size, mesh=mesh)
    return state, select(state, strategy, pool, observed, budget)


@partial(jax.jit, static_argnames=STATIC)
def step(
    state: State,
    learner: AnyLearner,
    strategy: Strategy,
    pool: Pool,
    test: Examples,
    budget: int,
    extras: ExampleSets = ExampleSets(),
    goes_on: jax.Array | bool = True,
    *,
    batch_size: int = 1024,
    mesh: Mesh | None = None,
) -> tuple[State, RoundInfo]:
    """One simulated round: fit, measure, observe, select, and label from what the pool knows.

    Args:
      goes_on: [] bool; if False nothing is picked any more, and the state keeps its round.
      test: held-out examples.

    The other arguments are those of `ask`.

    Returns:
      The next state and the report of this round.
    """
    state, fitted = fit(state, learner, pool, extras)
    train, tested = measure(state, learner, pool, test, fitted, batch_size)

    def pick(state):
        observed = observe(state, learner, strategy, pool, extras, batch_size=batch_size, mesh=mesh)
        picked = select(state, strategy, pool, observed, budget)
        return reveal(state, pool, picked), Selection(picked.rows, picked.scores)

    def stay(state):
        nothing = jnp.full(budget, -1, jnp.int32), jnp.full(budget, -jnp.inf)
        return state, Selection(*nothing)

    after, picked = jax.lax.cond(goes_on, pick, stay, state)
    info = RoundInfo(state.count, fitted.epochs, train, tested, picked.rows, picked.scores)
    return after, info
