"""Functions of the best representative of each row, summed over the pool or a sample of it."""

import dataclasses
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxal.checks import check_integer
from jaxal.points.similarity import Similarities, Similarity
from jaxal.rows import top_rows
from jaxal.submodular.function import COLUMN_ENTRIES, SetFunction
from jaxal.threefry import short_key

ROUNDING = 2.0**-20  # a similarity that much higher is the same but for rounding
EXACT = 16_384  # rows of a pool up to which "auto" sums over all of them
SAMPLED = 8_192  # rows summed over for a larger one


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Representation(SetFunction):
    """f(S) = sum_i max(min(max_{j in S} s_ij, cap_i), start_i) - start_i + sum_j bonus_j + offset.

    i runs over the targets of the similarity, j over S; nothing is gained where start_i is
    infinite. A block of Q gains costs O(Q G D); the state is [G]. The sum over a sample is
    multiplied by what each row of it stands for.
    """

    similarity: Similarity
    start: jax.Array  # [G]
    cap: jax.Array | None = None  # [G]
    bonus: jax.Array | None = None  # [N]
    offset: jax.Array | None = None
    at_most: jax.Array | None = None  # [N], bounds of the first gains
    sample: jax.Array | None = None  # [G] int32, the pool rows that the targets are
    weight: jax.Array | None = None  # [], how many rows each of them stands for

    @property
    def size(self) -> int:
        return self.similarity.size

    @property
    def usable(self) -> jax.Array:
        return self.similarity.usable

    @property
    def monotone(self) -> jax.Array | bool:
        return self.bonus is None or jnp.all(self.bonus >= 0)

    def init(self, capacity: int) -> jax.Array:
        return self.start

    def bounds(self) -> jax.Array | None:
        return self.at_most

    def columns(self, rows: jax.Array) -> tuple[jax.Array, jax.Array | None]:
        similar = _limited(self.similarity.rows(rows), rows, self.cap, self.sample)
        return similar, None if self.bonus is None else self.bonus[rows]

    def gains(self, state: jax.Array, columns: tuple[jax.Array, jax.Array | None]) -> jax.Array:
        return _gains(*columns, state, self.weight)

    def all_gains(self, state: jax.Array) -> jax.Array:
        rows = jnp.arange(self.size, dtype=jnp.int32)
        own, shared = (rows, self.bonus), (state, self.cap, self.sample, self.weight)
        if self.similarity.targets is not None:
            return self.similarity.map(_gains_of_rows, own, *shared)
        if self.size * len(state) <= COLUMN_ENTRIES:
            return _gains_of_rows(self.similarity.all_rows(), own, *shared)
        return super().all_gains(state)

    def add(self, state: jax.Array, column: tuple[jax.Array, jax.Array | None]) -> jax.Array:
        return jnp.maximum(state, column[0])

    def add_rows(self, state: jax.Array, rows: jax.Array, count: jax.Array) -> jax.Array:
        # Rows that are there before stand for themselves as well.
        similar = _limited(self.similarity.rows(rows), rows, self.cap, None)
        counted = jnp.arange(len(rows), dtype=jnp.int32) < count
        return jnp.maximum(state, jnp.max(jnp.where(counted[:, None], similar, -jnp.inf), axis=0))


def _limited(
    similar: jax.Array, rows: jax.Array, cap: jax.Array | None, sample: jax.Array | None
) -> jax.Array:
    """Similarities of rows [n, G] that count: up to the cap, and not to themselves in a sample.

    In the sum over a sample each row of it would be as similar to itself as to so many others:
    greedy would pick the sample. So rows are worth what they are worth for the others.
    """
    similar = similar if cap is None else jnp.minimum(similar, cap[None, :])
    if sample is None:
        return similar
    return jnp.where(rows[:, None] == sample[None, :], -jnp.inf, similar)


def _gains(
    similar: jax.Array, bonus: jax.Array | None, state: jax.Array, weight: jax.Array | None
) -> jax.Array:
    """What rows add, [n], by their similarities [n, G] to the targets and their bonus [n]."""
    # Where all is represented, rounding would pick, and differently on each number of devices.
    higher = similar > (state + ROUNDING)[None, :]
    gains = jnp.sum(jnp.where(higher, similar - state[None, :], 0.0), axis=1)
    gains = gains if weight is None else gains * weight
    return gains if bonus is None else gains + bonus


def _gains_of_rows(
    similar: jax.Array,
    own: tuple[jax.Array, jax.Array | None],
    state: jax.Array,
    cap: jax.Array | None,
    sample: jax.Array | None,
    weight: jax.Array | None,
) -> jax.Array:
    """The same by all similarities, and by the numbers of the rows and their bonus."""
    rows, bonus = own
    return _gains(_limited(similar, rows, cap, sample), bonus, state, weight)


class Represented(NamedTuple):
    """The rows that a function sums over: all of the pool, or a sample that stands for it."""

    near: Similarities  # of these rows to themselves and to the further examples
    similarity: Similarity  # of the pool's rows to them
    sample: jax.Array | None  # [G] int32, which they are; None: all
    weight: jax.Array | None  # [], how many rows each stands for; None: 1

    def function(self, start: jax.Array, **fields: Any) -> Representation:
        """The function whose targets they are; those that do not exist gain nothing.

        Args:
          start: [G] or [], what each has before anything is picked.
          **fields: further ones of `Representation`.
        """
        start = jnp.where(self.near.pool.usable, start, jnp.inf)
        return Representation(
            self.similarity, start, sample=self.sample, weight=self.weight, **fields
        )

    def total(self, values: jax.Array) -> jax.Array:
        """The sum over the pool of numbers that these rows have [G], or its estimate."""
        total = jnp.sum(jnp.where(self.near.pool.usable, values, 0.0))
        return total if self.weight is None else total * self.weight


def represented(near: Similarities, targets: str | int, key: jax.Array | None) -> Represented:
    """The rows that a function sums over.

    Args:
      near: the similarities of the pool.
      targets: "all", "auto" (all up to EXACT rows, else SAMPLED) or how many, a uniform sample of
        the usable rows without repeats.
      key: PRNG key of the sample, consumed; that of 0 if None.
    """
    pool, count = near.pool, num_targets(targets, near.pool.size)
    if count == pool.size:
        return Represented(near, pool, None, None)
    key = jax.random.key(0) if key is None else key
    drawn = jnp.where(pool.usable, jax.random.uniform(short_key(key), (pool.size,)), -1.0)
    rows = jnp.sort(top_rows(drawn, count)[1])
    usable, total = pool.usable[rows], jnp.sum(pool.usable, dtype=float)
    weight = total / jnp.maximum(jnp.sum(usable, dtype=float), 1.0)
    points = pool.points.take(rows)
    some = dataclasses.replace(near, pool=dataclasses.replace(pool, points=points, usable=usable))
    similarity = dataclasses.replace(pool, targets=points)
    # A sample of all that there are is no sample.
    return Represented(some, similarity, jnp.where(weight > 1.0, rows, -1), weight)


def num_targets(targets: str | int, rows: int) -> int:
    """How many rows are summed over, of a pool of so many."""
    if isinstance(targets, str):
        return SAMPLED if targets == "auto" and rows > EXACT else rows
    return min(targets, rows)


def check_targets(name: str, targets: Any) -> None:
    """Raises unless it is "all", "auto" or an integer of at least 1."""
    if not isinstance(targets, str):
        check_integer(1, **{name: targets})
    elif targets not in ("all", "auto"):
        raise ValueError(f'{name}: expected "all", "auto" or how many rows, got {targets!r}')
