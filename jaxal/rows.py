"""Decisions over rows that several devices share: each looks at its own, and only results travel.

The compiler's own partitioning of `top_k`, `argmax` and the like gathers all rows on every device.
Here each device decides among its rows and sends what it chose, of the size of the result. Which
devices there are is known from the mesh in use (`rows_over`); without one, or where the rows cannot
be shared evenly, these are the plain functions of `jax.numpy`. The results are the same.
"""

import contextlib
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import AbstractMesh, AxisType, Mesh, PartitionSpec

from jaxal.base import PyTree
from jaxal.numerics import given_back, num_rows, rows_from, with_rows, writable
from jaxal.targets import is_gpu

DATA = "data"
"""The axis of a mesh over which the rows of a pool are shared."""

LINE = 128
"""Rows whose numbers are added up first."""

GPU_TILES = 8
"""Tiles that a GPU takes as one: a tile that fits into a core's cache does not fill a card."""

SENT = 128
"""Rows that each device gets at once where rows have to be sent."""

NO_MESH = AbstractMesh((), ())

SHARED, REPLICATED = PartitionSpec(DATA), PartitionSpec()


def rows_over(mesh: Mesh | None) -> contextlib.AbstractContextManager:
    """Has the functions below know the mesh, inside a traced function too; None: no device shares.

    Arrays that are no pool's, but may be as long, are looked at with None.
    """
    return jax.sharding.use_abstract_mesh(NO_MESH if mesh is None else mesh.abstract_mesh)


def shards(rows: int) -> int:
    """Over how many devices the mesh in use shares an axis of so many rows: 1 if it does not."""
    mesh = jax.sharding.get_abstract_mesh()
    if DATA not in mesh.axis_names:
        return 1
    # Inside a `shard_map` over the rows, a device sees its own alone.
    if dict(zip(mesh.axis_names, mesh.axis_types, strict=True))[DATA] == AxisType.Manual:
        return 1
    count = mesh.shape[DATA]
    return 1 if rows % count else count


def top_rows(values: jax.Array, num: int) -> tuple[jax.Array, jax.Array]:
    """The highest values with their rows, as `jax.lax.top_k`: ties go to the lowest row.

    Args:
      values: [N] without NaN.
      num: how many, 1 to N.

    Returns:
      values [num], highest first, and rows [num] int32; the same on every device.
    """
    if shards(len(values)) == 1:
        return _top_rows(values, num)

    def local(own: jax.Array) -> tuple[jax.Array, jax.Array]:
        best, rows = _top_k(own, min(num, len(own)))
        best, rows = _gathered(best, rows + _offset(own))
        # Devices come in the order of their rows, so that a tie stays with the lowest.
        best, places = jax.lax.top_k(best, num)
        return best, rows[places]

    return _shared(local)(values)


def _top_rows(values: jax.Array, num: int) -> tuple[jax.Array, jax.Array]:
    # A slice of the results, looked through, would make a sort of all of them: 100 times as long.
    best, rows = map(jax.lax.optimization_barrier, jax.lax.top_k(values, num))
    return best, rows


def _top_k(own: jax.Array, num: int) -> tuple[jax.Array, jax.Array]:
    """`jax.lax.top_k` of a device's rows; of several seeds, of its own seeds as well.

    The compiler's partitioning of a vmapped `top_k` gathers the rows of all seeds.
    """

    def plain(own: jax.Array) -> tuple[jax.Array, jax.Array]:
        return _top_rows(own, num)

    mesh = jax.sharding.get_abstract_mesh()
    types = zip(mesh.axis_names, mesh.axis_types, strict=True)
    axes = [name for name, kind in types if kind != AxisType.Manual]
    top = jax.custom_batching.custom_vmap(plain)

    @top.def_vmap
    def _(seeds: int, _: Any, several: jax.Array) -> tuple[Any, Any]:
        call = plain
        if axes and seeds % math.prod(mesh.shape[name] for name in axes) == 0:
            over = PartitionSpec(tuple(axes))
            call = jax.shard_map(
                plain, in_specs=over, out_specs=over, axis_names=set(axes), check_vma=False
            )
        return call(several), (True, True)

    return top(own)


def best_row(values: jax.Array) -> jax.Array:
    """The row of the highest value [], the lowest of several; of [N] values, without NaN."""
    if shards(len(values)) == 1:
        return jnp.argmax(values)

    def local(own: jax.Array) -> jax.Array:
        row = jnp.argmax(own)
        best, rows = _gathered(own[row][None], (row + _offset(own))[None])
        return rows[jnp.argmax(best)]

    return _shared(local)(values)


def largest(values: jax.Array) -> jax.Array:
    """The maximum [] of [N] numbers or truth values; NaN if there is one."""
    if shards(len(values)) == 1:
        return _largest(values)
    # The compiler's own maximum over devices forgets a NaN.
    return _shared(lambda own: _largest(_gathered(_largest(own)[None])[0]))(values)


def _largest(values: jax.Array) -> jax.Array:
    # One loop of a compiled program: XLA splits `max` of a long vector into three on a CPU.
    return values[jnp.argmax(values)]


def row_at(tree: PyTree, row: jax.Array) -> PyTree:
    """One row of every leaf, the same on every device: leaves [...] for row [].

    Compilers would gather all rows to slice one out of them, but not to look some up; that of GPUs
    makes a slice of looking up one.
    """

    def one(leaf: jax.Array) -> jax.Array:
        return leaf[row] if shards(len(leaf)) == 1 else leaf[jnp.stack([row, row])][0]

    return jax.tree.map(one, tree)


def without(mask: jax.Array, row: jax.Array) -> jax.Array:
    """The mask [N] bool without one row [].

    The row is found by its number: to scatter a mark, a TPU gathers the mask of all devices.
    """
    return mask & (jnp.arange(len(mask), dtype=jnp.int32) != jnp.asarray(row, jnp.int32))


def index_of(mask: jax.Array) -> jax.Array:
    """What `set_rows` finds the set rows of a mask [N] bool by, [N] int32."""
    if shards(len(mask)) == 1:
        return jnp.argsort(~mask).astype(jnp.int32)  # the rows themselves, those that are set first

    def local(own: jax.Array) -> jax.Array:
        here = jnp.cumsum(own, dtype=jnp.int32)
        totals = jax.lax.all_gather(here[-1], DATA)
        before = jnp.arange(len(totals), dtype=jnp.int32) < jax.lax.axis_index(DATA)
        return here + jnp.sum(jnp.where(before, totals, 0))

    return _shared(local, SHARED)(mask)  # how many are set up to each row


def set_rows(index: jax.Array, places: jax.Array) -> jax.Array:
    """The rows of a mask that are set, by their place among these.

    Args:
      index: of the mask, from `index_of`.
      places: [M] int32, from 0.

    Returns:
      [M] int32, anything where fewer are set.
    """
    if shards(len(index)) == 1:
        return index.at[places].get(mode="clip")

    # As many rows come before it as have counts up to its place, on each device.
    def local(own: jax.Array, places: jax.Array) -> jax.Array:
        before = jnp.searchsorted(own, places, side="right").astype(jnp.int32)
        return jax.lax.psum(before, DATA)

    return _shared(local)(index, places)


def rows_at_places(tree: PyTree, index: jax.Array, places: jax.Array) -> PyTree:
    """The rows of a mask that are set, by their place among these, shared as the places are.

    Where devices share the rows, they send them in small blocks: each gets SENT of its own places
    at once from every other, of which one has the row. So memory is that of the result and of a
    block for each device, and what a device receives in all has the size of the whole result.

    Args:
      tree: leaves [N, ...].
      index: of the mask, from `index_of`.
      places: [M] int32, from 0 and ascending.

    Returns:
      Leaves [M, ...], anything where fewer are set.
    """
    if shards(len(index)) == 1 or shards(len(places)) == 1:
        rows = set_rows(index, places)
        return jax.tree.map(lambda leaf: leaf.at[rows].get(mode="clip"), tree)

    def local(given: tuple[PyTree, jax.Array, jax.Array]) -> PyTree:
        tree, index, places = given
        size = min(SENT, len(places))
        ends = jax.lax.all_gather(index[-1], DATA)  # how many are set up to the end of each device
        some = jnp.arange(size, dtype=jnp.int32)

        def send(carry):
            start, found = carry
            # The last block overlaps the one before.
            start = jnp.minimum(start, len(places) - size)
            wanted = jax.lax.dynamic_slice_in_dim(places, start, size)
            # To each device the rows that it asks for; they mean something if they are here.
            asked = jax.lax.all_gather(wanted, DATA)
            rows = jnp.searchsorted(index, asked, side="right")
            owner = jnp.searchsorted(ends, wanted, side="right")

            def exchange(leaf, found):
                sent = jax.lax.all_to_all(leaf.at[rows].get(mode="clip"), DATA, 0, 0)
                sent = sent.at[owner, some].get(mode="clip")
                return jax.lax.dynamic_update_slice_in_dim(found, sent, start, 0)

            return start + size, jax.tree.map(exchange, tree, found)

        # Places past the last row that is set are not sent; all devices stop together.
        last = jax.lax.pmax(jnp.sum(places < ends[-1], dtype=jnp.int32), DATA)
        shape = len(places)
        found = jax.tree.map(lambda leaf: jnp.zeros((shape, *leaf.shape[1:]), leaf.dtype), tree)
        return jax.lax.while_loop(lambda carry: carry[0] < last, send, (jnp.int32(0), found))[1]

    return _shared(local, SHARED)((tree, index, places))


def in_blocks(tree: PyTree, size: int) -> PyTree:
    """Rows in blocks of some size, leaves [blocks, size, ...], the last filled up with zeros."""

    def split(leaf):
        widths = [(0, -len(leaf) % size)] + [(0, 0)] * (leaf.ndim - 1)
        return jnp.pad(leaf, widths).reshape(-1, size, *leaf.shape[1:])

    return jax.tree.map(split, tree)


def line_sums(values: jax.Array) -> jax.Array:
    """Sums of LINE rows after one another, [N] -> [N / LINE, rounded up], on every device.

    They are rounded alike on any number of devices. Where a device's rows are no whole lines, all
    of them are gathered; `pools.place` sees to it that those of a large pool are.
    """
    if shards(len(values)) == 1:
        return _line_sums(values)

    def local(own: jax.Array) -> jax.Array:
        if len(own) % LINE:
            return _line_sums(*_gathered(own))
        return _gathered(_line_sums(own))[0]

    return _shared(local)(values)


def _line_sums(values: jax.Array) -> jax.Array:
    return jnp.sum(in_blocks(values, LINE), axis=1)


def in_tiles(function: Callable[..., PyTree], tree: PyTree, size: int, *shared: PyTree) -> PyTree:
    """Applies a function of each row by itself to all, at most `size` at a time on a device.

    A result of the shape and type of a leaf is written over it, tile by tile, so that a pool that
    nothing else needs is not there twice.

    Args:
      function: (leaves [n, ...], *shared) -> leaves [n, ...].
      tree: leaves [N, ...].
      size: rows of a tile, on a GPU GPU_TILES times as many; the last overlaps the one before.
      *shared: arrays that all tiles need; the function closes over none.

    Returns:
      Leaves [N, ...], shared as the rows are.
    """
    size *= GPU_TILES if is_gpu() else 1
    if shards(num_rows(tree)) == 1:
        return _in_tiles(function, tree, size, shared)

    def local(own: PyTree, *shared: PyTree) -> PyTree:
        return _in_tiles(function, own, size, shared)

    return _shared(local, SHARED)(tree, *shared)


def _in_tiles(
    function: Callable[..., PyTree], tree: PyTree, size: int, shared: tuple[PyTree, ...]
) -> PyTree:
    total = num_rows(tree)
    if total <= size:
        return function(tree, *shared)
    tiles = -(-total // size)
    size = -(-total // tiles)
    leaves, structure = jax.tree.flatten(tree)
    one = [jax.ShapeDtypeStruct((size, *leaf.shape[1:]), leaf.dtype) for leaf in leaves]
    shapes = jax.eval_shape(function, structure.unflatten(one), *shared)
    shapes, results = jax.tree.flatten(shapes)
    replaces, kinds = _alike(shapes, one), [leaf.dtype for leaf in one]

    def tile(index: jax.Array, found: list[jax.Array]) -> list[jax.Array]:
        # The last tile overlaps the one before: rows that fill it up would be a copy of the pool.
        start = jnp.minimum(index * size, total - size)
        now = [found[replaces.index(i)] if i in replaces else leaf for i, leaf in enumerate(leaves)]
        some = structure.unflatten(_rows_from(now, kinds, start, size))
        made = writable(jax.tree.leaves(function(some, *shared)))
        if total % size and any(place is not None for place in replaces):
            # Rows that the tile before has replaced are not what they were.
            new = start + jnp.arange(size, dtype=jnp.int32) >= index * size
            before = rows_from(found, start, size)
            made = [_where(new, own, old) for own, old in zip(made, before, strict=True)]
        return with_rows(found, start, made)

    # No zeros: XLA would keep a copy of them for others of this shape.
    blank = [
        jnp.ones((total, *shape.shape[1:]), shape.dtype) if place is None else leaves[place]
        for shape, place in zip(shapes, replaces, strict=True)
    ]
    found = jax.lax.fori_loop(0, tiles, tile, writable(blank))
    return results.unflatten(map(given_back, found, (shape.dtype for shape in shapes)))


def _rows_from(
    leaves: list[jax.Array], kinds: list[Any], start: jax.Array, size: int
) -> list[jax.Array]:
    """`rows_from` in a loop of leaves of these types, some of which may be their bits already."""
    if any(leaf.dtype != kind for leaf, kind in zip(writable(leaves), kinds, strict=True)):
        # The bits of all rows would be copied once, before the loop.
        start, leaves = jax.lax.optimization_barrier((start, leaves))
    return list(map(given_back, rows_from(writable(leaves), start, size), kinds))


def _alike(results: list[Any], leaves: list[Any]) -> list[int | None]:
    """Which of the leaves each result may replace: one of its shape and type, each once."""
    places: list[int | None] = []
    for result in results:
        alike = (
            place
            for place, leaf in enumerate(leaves)
            if place not in places and (leaf.shape, leaf.dtype) == (result.shape, result.dtype)
        )
        places.append(next(alike, None))
    return places


def _where(rows: jax.Array, some: jax.Array, others: jax.Array) -> jax.Array:
    """`some` where a row is set, [n, ...]."""
    return jnp.where(rows.reshape(-1, *[1] * (some.ndim - 1)), some, others)


def _offset(own: Any) -> jax.Array:
    """The number of the first row that a device has."""
    return jax.lax.axis_index(DATA).astype(jnp.int32) * len(own)


def _gathered(*arrays: jax.Array) -> tuple[jax.Array, ...]:
    return tuple(jax.lax.all_gather(array, DATA, tiled=True) for array in arrays)


def _shared(local: Callable[..., Any], results: PartitionSpec = REPLICATED) -> Callable[..., Any]:
    """A function that every device runs on its own rows, and on what else it is given.

    Args:
      local: of a device's rows, and of arrays that all devices have.
      results: how they are shared; by default every device has the same.
    """

    def call(rows: PyTree, *others: PyTree) -> Any:
        # Manual over this axis only, so that a vmap over seeds may use the other.
        return jax.shard_map(
            local,
            in_specs=(SHARED, *[REPLICATED] * len(others)),
            out_specs=results,
            axis_names={DATA},
            check_vma=False,
        )(rows, *others)

    return call
