"""Small tools of every room: products in full float32, random keys, and rows of pytrees."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental.layout import Layout, with_layout_constraint
from jax.typing import DTypeLike

from jaxal.base import PyTree
from jaxal.checks import is_key, is_traced
from jaxal.targets import is_cpu, is_gpu, is_tpu

SUMMED = 256
"""Numbers that a running sum adds up by one product."""

LANES = 128
"""Numbers of a TPU's vectors, of which it holds rows."""


def matmul(left: jax.Array, right: jax.Array) -> jax.Array:
    """`left @ right` in full float32.

    Accelerators multiply float32 in TF32 or bfloat16 by default, and a small difference of large
    numbers then has no right digit left.
    """
    return jnp.matmul(left, right, precision=jax.lax.Precision.HIGHEST)


def is_known(labels: Any) -> Any:
    """[N] bool, which labels are known: classes of at least 0, targets that are no NaN.

    Args:
      labels: [N], of NumPy or JAX: integers, or the targets of a regression.
    """
    return labels >= 0 if jnp.issubdtype(labels.dtype, jnp.integer) else labels == labels


def unknown_label(dtype: DTypeLike) -> int | float:
    """What stands for an unknown label of that type: -1 among integers, NaN among floats."""
    return -1 if jnp.issubdtype(dtype, jnp.integer) else float("nan")


def are_targets(labels: Any) -> bool:
    """Whether labels are the targets of a regression, by their type."""
    return jnp.issubdtype(labels.dtype, jnp.floating)


def as_floats(array: jax.Array) -> jax.Array:
    """Floats of any number of bits as they are, other numbers as JAX's default floats; [...]."""
    array = jnp.asarray(array)
    return array if jnp.issubdtype(array.dtype, jnp.floating) else array.astype(float)


def inner_products(left: jax.Array, right: jax.Array) -> jax.Array:
    """All inner products of rows, [N, D] x [M, D] -> [N, M], in full float32."""
    return matmul(left, right.T)


def unit_rows(vectors: jax.Array) -> jax.Array:
    """Rows [N, D] divided by their norms; zero rows stay zero. Nothing overflows or underflows."""
    largest = jnp.max(jnp.abs(vectors), axis=-1, keepdims=True)
    vectors = vectors / jnp.where(largest > 0, largest, 1.0)
    norm = jnp.sqrt(jnp.sum(vectors**2, axis=-1, keepdims=True))
    return vectors / jnp.where(norm > 0, norm, 1.0)


def row_norms(vectors: jax.Array) -> jax.Array:
    """The lengths [N] of rows [N, D]. Nothing overflows or underflows."""
    largest = jnp.max(jnp.abs(vectors), axis=1)
    inside = vectors / jnp.where(largest > 0, largest, 1.0)[:, None]
    return largest * jnp.sqrt(jnp.sum(inside**2, axis=1))


def power_of_two(size: jax.Array) -> jax.Array:
    """The power of two nearest to each number >= 0, and 1 for 0: dividing by it is exact.

    By the bits of the number: `exp2` is off by a rounding on CPUs.
    """
    size = jnp.where(size > 0, size, jnp.ones_like(size))
    kind = jnp.finfo(size.dtype)
    bits = jax.lax.bitcast_convert_type(size, jnp.dtype(f"uint{kind.bits}"))
    exponent = bits & ((1 << kind.bits - 1) - (1 << kind.nmant))
    below = jax.lax.bitcast_convert_type(exponent.astype(bits.dtype), size.dtype)
    below = jnp.maximum(below, kind.tiny)  # of what is no normal number
    half_above = (size / below > 2.0**0.5) & (below < kind.max / 2)
    return jnp.where(half_above, 2 * below, below)


def running_sum(x: jax.Array) -> jax.Array:
    """Cumulative sums of floats along the last axis, [..., M].

    By products, of which each sums up SUMMED numbers at most: a third of the compiled program of
    `cumsum`.
    """
    total = x.shape[-1]
    if total <= SUMMED:
        # Not a transposed triangle: XLA sums by one in another order where it is known beforehand,
        # and the sums of a loop would differ from those of a program of one step.
        places = jnp.arange(total)
        before = places[:, None] <= places[None, :]
        if is_gpu():  # one kernel in place of two or three; a CPU would add them one by one
            return jnp.sum(jnp.where(before.T, x[..., None, :], 0.0), axis=-1)
        return matmul(x, before.astype(x.dtype))
    widths = [(0, 0)] * (x.ndim - 1) + [(0, -total % SUMMED)]
    inside = running_sum(jnp.pad(x, widths).reshape(*x.shape[:-1], -1, SUMMED))
    ends = running_sum(inside[..., -1])
    before = jnp.concatenate([jnp.zeros_like(ends[..., :1]), ends[..., :-1]], axis=-1)
    return (inside + before[..., None]).reshape(*x.shape[:-1], -1)[..., :total]


def rarely(
    condition: jax.Array, rare: Callable[..., PyTree], usual: Callable[..., PyTree], *given: PyTree
) -> PyTree:
    """`rare(*given)` where the condition holds and `usual(*given)` elsewhere, as `jax.lax.cond`.

    Under vmap `cond` computes both, always. Here the rare one is computed, for all seeds, if one
    of them needs it, and what the others get is the usual one.

    Args:
      condition: [] bool.
      rare: of arrays alone: what else it looks at must be the same for all seeds.
      usual: the same, with results of the same shapes.
      *given: their arguments.
    """
    leaves, structure = jax.tree.flatten(given)

    def of_leaves(function):
        return lambda *leaves: function(*jax.tree.unflatten(structure, leaves))

    rare, usual = of_leaves(rare), of_leaves(usual)
    chosen = jax.custom_batching.custom_vmap(
        lambda condition, *leaves: jax.lax.cond(condition, rare, usual, *leaves)
    )

    @chosen.def_vmap
    def _(seeds: int, batched: Any, condition: jax.Array, *leaves: jax.Array) -> tuple[Any, Any]:
        axes = tuple(0 if one else None for one in batched[1:])
        if not batched[0]:
            found = jax.lax.cond(condition, jax.vmap(rare, axes), jax.vmap(usual, axes), *leaves)
            return found, jax.tree.map(lambda _: True, found)
        several = {"in_axes": axes, "axis_size": seeds}

        def all_usual(*leaves: jax.Array) -> PyTree:
            return jax.vmap(usual, **several)(*leaves)

        def some_rare(*leaves: jax.Array) -> PyTree:
            def each(one: jax.Array, other: jax.Array) -> jax.Array:
                return jnp.where(condition.reshape(-1, *[1] * (one.ndim - 1)), one, other)

            return jax.tree.map(each, jax.vmap(rare, **several)(*leaves), all_usual(*leaves))

        found = jax.lax.cond(jnp.any(condition), some_rare, all_usual, *leaves)
        return found, jax.tree.map(lambda _: True, found)

    return chosen(condition, *leaves)


def next_uniforms(key: jax.Array, num: int, dtype: DTypeLike) -> tuple[jax.Array, jax.Array]:
    """The next key of a chain, and two rows of uniform numbers in [0, 1) [2, num].

    Keys are random words themselves, so that one call of the generator gives both. Each call is a
    tenth of a small rule's program.
    """
    keys = jax.random.split(key, 1 + num)
    words = jax.random.key_data(keys[1:])[:, :2].T
    return keys[0], (words >> 8).astype(dtype) * 2.0**-24


def derive_keys(key: jax.Array, numbers: jax.Array) -> jax.Array:
    """A PRNG key for each number, as `jax.random.fold_in` but without a run of the generator.

    JAX's generators encrypt a counter under the key, and are made so that keys which differ in one
    bit give independent streams: so the number is simply added to the key's bits. A run of the
    generator would be ten loops of a compiled program. A key derived from a derived one may be that
    of another pair of numbers: split below, unless the numbers are hashes.

    Args:
      key: PRNG key. Number 0 would give it back.
      numbers: [...] integers, told apart modulo 2^32.

    Returns:
      [...] keys of the same kind.

    References:
      Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011, section 3.
    """
    data = jax.random.key_data(key)
    odd = 2 * np.arange(len(data), dtype=np.uint32) + 1  # words that are not all changed alike
    words = jax.lax.convert_element_type(numbers, jnp.uint32)[..., None]
    words = words * odd.reshape((1,) * (words.ndim - 1) + (-1,))
    mixed = jnp.broadcast_to(data, words.shape) ^ words
    return jax.random.wrap_key_data(mixed, impl=jax.random.key_impl(key))


def key_data(leaf: Any) -> Any:
    """The numbers that random keys are made of; any other leaf as it is."""
    return jax.random.key_data(leaf) if is_key(leaf) else leaf


def num_rows(tree: PyTree) -> int:
    """The length of the leading axis that all leaves share."""
    return jax.tree.leaves(tree)[0].shape[0]


def first(tree: PyTree) -> PyTree:
    """The first row of every leaf, as a batch of one: leaves [1, ...]."""
    return jax.tree.map(lambda leaf: leaf[:1], tree)


def gather(tree: PyTree, rows: jax.Array) -> PyTree:
    """The given rows of every leaf: leaves [M, ...] for rows [M], none below 0."""
    # That rows count from the end if below 0 would be one more loop of a compiled program.
    return jax.tree.map(lambda leaf: leaf.at[rows].get(wrap_negative_indices=False), tree)


def rows_from(tree: PyTree, start: jax.Array | int, size: int) -> PyTree:
    """`size` rows of every leaf that follow one another, from `start` on, which is not below 0."""

    def some(leaf: jax.Array) -> jax.Array:
        rows = jax.lax.dynamic_slice_in_dim(leaf, start, size, allow_negative_indices=False)
        return by_rows(rows)

    return jax.tree.map(some, tree)


def with_rows(tree: PyTree, start: jax.Array | int, rows: PyTree) -> PyTree:
    """The leaves with other rows from `start` on, which is not below 0."""

    def put(leaf: jax.Array, some: jax.Array) -> jax.Array:
        return jax.lax.dynamic_update_slice_in_dim(
            leaf, by_rows(some), start, 0, allow_negative_indices=False
        )

    return jax.tree.map(put, tree, rows)


def by_rows(leaf: jax.Array) -> jax.Array:
    """The same array, which a program for a TPU holds row after row, if it is a matrix [n, D].

    What writes a matrix in blocks of rows and what reads it may each have that compiler choose an
    order of its own, at the cost of a copy of the whole between them. The order is that of the
    blocks. It fills up rows to whole vectors of 128 numbers: D is such that this adds at most half.
    """
    if not is_tpu() or leaf.ndim != 2 or not is_traced(leaf):
        return leaf
    width = leaf.shape[1]
    is_wide = -(-width // LANES) * LANES <= 1.5 * width
    return with_layout_constraint(leaf, Layout((0, 1))) if is_wide else leaf


def writable(tree: PyTree) -> PyTree:
    """The leaves, of which a loop can read and write a part; `given_back` undoes it.

    Compiled for CPUs, a part of a bfloat16 array is read or written by way of all of it in float32:
    its bits are handled as integers.
    """

    def bits(leaf: jax.Array) -> jax.Array:
        if leaf.dtype == jnp.bfloat16 and is_cpu():
            return jax.lax.bitcast_convert_type(leaf, jnp.uint16)
        return leaf

    return jax.tree.map(bits, tree)


def given_back(leaf: jax.Array, dtype: DTypeLike) -> jax.Array:
    """A leaf of `writable` as the type that it had."""
    return leaf if leaf.dtype == dtype else jax.lax.bitcast_convert_type(leaf, dtype)


def group_means(rows: jax.Array, groups: jax.Array, number: int) -> tuple[jax.Array, jax.Array]:
    """The means of groups of rows, and how many rows each has.

    Args:
      rows: [N, D].
      groups: [N] int32, from 0; `number` for rows of no group.
      number: of groups, G.

    Returns:
      Means [G, D], zeros where a group is empty, and counts [G], floats.
    """
    # The sum of ones next to the sums of features counts the rows.
    rows = jnp.concatenate([rows, jnp.ones_like(rows[:, :1])], axis=1)
    sums = jax.ops.segment_sum(rows, groups, number)
    return sums[:, :-1] / jnp.maximum(sums[:, -1:], 1.0), sums[:, -1]
