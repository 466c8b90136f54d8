"""BatchBALD pass by pass, with a bound on the information that any batch could have."""

from collections.abc import Iterator
from functools import partial

import jax
import jax.numpy as jnp

from jaxal import entry
from jaxal.base import Selection
from jaxal.greedy.lazy import LazyState, before_any_pick, pick_by_bounds, unfinished
from jaxal.pools.devices import mesh_of
from jaxal.rows import rows_over
from jaxal.selection._batch_bald import nothing_known, rule_of
from jaxal.selection.anytime.progress import Measured, Progress, passes, settled
from jaxal.selection.anytime.value import Value, value_and_bound


@entry.checked(
    key=entry.key,
    logits=entry.matrix("[K, N, C]"),
    available=entry.mask,
    budget=entry.budget,
    num_samples=entry.integer(1),
    block_size=entry.integer(1),
)
def batch_bald(
    key: jax.Array,
    logits: jax.Array,
    available: jax.Array,
    budget: int,
    *,
    num_samples: int = 10_000,
    block_size: int = 64,
) -> Iterator[Progress]:
    """`selection.batch_bald`, which can be left after any pass over the pool.

    Args:
      key: PRNG key, consumed; without effect while all outcomes fit.
      logits: [K, N, C], as `selection.batch_bald` takes them.
      available: [N] bool.
      budget: how many rows, 1 to N.
      num_samples: outcomes of the picked labels that are kept.
      block_size: rows examined in a pass.

    Returns:
      An iterator of `Progress`, whose `bound` is a `Value` in nats: the mutual information of a
      batch is submodular and monotone. It is proved while all outcomes of the picks fit into
      `num_samples`; after that gains are estimates, and so is the bound.

    Raises:
      TypeError, ValueError: as `selection.batch_bald`, at once.

    References:
      Kirsch, van Amersfoort and Gal, "BatchBALD: efficient and diverse batch acquisition for deep
      Bayesian active learning", NeurIPS 2019, appendix A: why it is submodular.

    Example:

    >>> votes = jnp.array([[0, 0, 0], [0, 0, 1], [1, 1, 0], [1, 1, 1]])  # row 1 repeats row 0
    >>> log_probs = jnp.log(jax.nn.one_hot(votes, 2))
    >>> *_, last = batch_bald(jax.random.key(0), log_probs, jnp.ones(3, bool), 2)
    >>> last.selection.rows.tolist(), round(last.bound.ratio, 3)
    ([0, 2], 1.0)
    """
    logits, available = jnp.asarray(logits), jnp.asarray(available)
    mesh = mesh_of((logits, available))
    with rows_over(mesh):
        start = _start(logits, available, budget, num_samples)
    return passes(start, partial(_step, key, logits, block_size=block_size), Value, mesh)


@partial(jax.jit, static_argnames=("budget", "num_samples"))
def _start(logits, available, budget, num_samples) -> tuple[LazyState, jax.Array]:
    state = nothing_known(logits, available, budget, num_samples)
    lazy = before_any_pick(state, available, budget, state.gains.dtype)
    no_bound = jnp.asarray(jnp.inf, state.gains.dtype)
    return settled(_with(lazy, None), len(available)), no_bound


@partial(jax.jit, static_argnames="block_size")
def _step(
    key: jax.Array, logits: jax.Array, before: tuple[LazyState, jax.Array], *, block_size: int
) -> tuple[tuple[LazyState, jax.Array], Measured]:
    lazy, optimum = before
    lazy = pick_by_bounds(rule_of(key), _with(lazy, logits.astype(float)), block_size)
    lazy = settled(_with(lazy, None), logits.shape[1])
    rows, scores, count = lazy.picks
    value, lowest = value_and_bound(lazy.picks, lazy.state.gains, lazy.available)
    optimum = jnp.minimum(optimum, lowest)
    selection = Selection(rows, scores.astype(jnp.float32))
    found = Measured(selection, count, lazy.passes, (value, optimum), ~unfinished(lazy))
    return (lazy, optimum), found


def _with(lazy: LazyState, logits: jax.Array | None) -> LazyState:
    """The state with the logits given, or without: what a program returns is a copy."""
    return lazy._replace(state=lazy.state._replace(logits=logits))
