"""Pools in the memory of the devices, and functions mapped over rows in batches."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, PartitionSpec

from jaxal import processes
from jaxal.base import PyTree
from jaxal.checks import check_flag, check_integer, describe, is_traced
from jaxal.data.checks import check, check_rows, check_structure
from jaxal.numerics import (
    are_targets,
    first,
    gather,
    given_back,
    is_known,
    num_rows,
    rows_from,
    unknown_label,
    with_rows,
    writable,
)
from jaxal.pools import devices
from jaxal.rows import LINE, REPLICATED, SHARED

BATCH_SIZE = 1024
"""Rows that go through a model at once on a device, where nothing else is asked for."""

MANY = 32
"""Lines on a device from which on a pool is padded to whole ones: by a thirty-second at most."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class ArrayPool:
    """A `Pool` of arrays on the devices, padded so that every device holds as many rows."""

    inputs: PyTree  # leaves [N, ...]
    labels: jax.Array  # [N] int32, -1 where unknown and in padding; or float32, NaN there
    valid: jax.Array  # [N] bool, False in padding and in rows that are left out
    batch_size: int = field(default=BATCH_SIZE, metadata={"static": True})
    mesh: Mesh | None = field(default=None, metadata={"static": True})

    def __len__(self) -> int:
        return self.valid.shape[0]

    def first(self) -> PyTree:
        """The inputs of the first row as a batch of one."""
        return first(self.inputs)

    def take(self, rows: jax.Array) -> PyTree:
        """The inputs of rows [M]; without a host, so it can be traced."""
        return gather(self.inputs, rows)

    def map(self, function: Callable[..., PyTree], shared: PyTree, *arrays: jax.Array) -> PyTree:
        """As `Pool.map`: each device maps its own rows, without communication."""
        return map_rows(
            lambda shared, rows: function(shared, *rows),
            shared,
            (self.inputs, *arrays),
            batch_size=self.batch_size,
            mesh=self.mesh,
        )


def place(
    inputs: PyTree,
    labels: Any,
    mesh: Mesh | None = None,
    *,
    batch_size: int = BATCH_SIZE,
    size: int | None = None,
    labeled_only: bool = False,
    local: bool = False,
) -> ArrayPool:
    """Puts examples on the devices of `mesh`, their rows over its data axis.

    Where processes share the devices, each reads of NumPy arrays, which may be on a disk, the rows
    of its own devices, and no others of the inputs. All of them call this, with the same arguments
    unless `local`, and an error that one finds is raised in all. Of the inputs only types and
    shapes are compared, as no process reads what another does; of all else the values are.

    Args:
      inputs: pytree of arrays [N, ...].
      labels: [N] integers, -1 where unknown; None if all are. Or the targets of a regression,
        floats, NaN where unknown.
      mesh: from `devices.make_mesh`; one device if not given.
      batch_size: rows that go through a model at once on a device.
      size: least number of rows, padding included; none is added for it if not given.
      labeled_only: leave out the rows whose label is unknown: they keep their numbers, and are not
        valid. So a pool that is labelled in part serves for a simulation.
      local: the arrays are the rows that this process has, and other processes have others, more or
        fewer. The pool is all of them: those of process 0, then those of process 1, and so on, each
        padded to as many, n = len(pool) / processes. So `divmod(row, n)` tells whose a row is, and
        which of its rows.

    Returns:
      `ArrayPool`, padded at the end to a multiple of the data axis; padding is not valid.

    Raises:
      TypeError: a number that is not an integer, an input or labels that are not arrays, or labels
        that are no numbers, or a mesh that is none.
      ValueError: a number out of range, leading axes that disagree, NaN or infinite inputs, or
        labels below -1 or infinite. `init` checks them against the classes of its model. With
        `local`, rows that differ in type or shape from one process to another, or a mesh that
        shares seeds.
    """
    devices.check_mesh(mesh)
    flags = {"labeled_only": labeled_only, "local": local}
    devices.check_same(mesh, batch_size=batch_size, size=size, **flags)
    check_integer(1, batch_size=batch_size)
    if size is not None:
        check_integer(1, size=size)
    check_flag(**flags)
    local = local and devices.is_shared(mesh)  # a process alone has all rows
    if local:
        _check_local((inputs, labels), mesh)
    else:
        devices.check_alike(mesh, inputs=inputs)
        devices.check_same(mesh, labels=labels)
        check_structure((inputs, labels))
        check_values((inputs, labels), None, mesh, size, allow_unknown=True)
    return put(
        inputs,
        labels,
        mesh,
        batch_size=batch_size,
        size=size,
        labeled_only=labeled_only,
        local=local,
    )


def check_values(
    examples: tuple[PyTree, Any],
    num_classes: int | None,
    mesh: Mesh | None,
    size: int | None = None,
    *,
    allow_unknown: bool,
) -> None:
    """`data.check` of a pool's values; each process looks at the rows of its devices, all raise."""
    if is_traced(examples):
        return
    if mesh is None or not devices.is_on_hosts(examples, mesh):
        check_rows(examples, num_classes, "pool", allow_unknown=allow_unknown)
        return
    rows = num_rows(examples[0])
    with processes.agreed():
        for own in devices.own_rows(rows, padded_rows(max(rows, size or 0), _shards(mesh)), mesh):
            part = jax.tree.map(lambda leaf, own=own: leaf[own], examples)
            check_rows(part, num_classes, "pool", allow_unknown=allow_unknown, first=own.start)


def _check_local(examples: tuple[PyTree, Any], mesh: Any) -> None:
    """Raises in all processes unless the rows that each has can be those of one pool."""
    devices.check_one_after_another(mesh)
    with processes.agreed():
        check(examples, name=f"process {jax.process_index()}: pool", allow_unknown=True)
    inputs, labels = jax.tree.map(lambda leaf: describe(leaf[:1]), examples)
    processes.check_same(inputs=inputs, labels=labels)


def put(
    inputs: PyTree,
    labels: Any,
    mesh: Mesh | None,
    *,
    batch_size: int,
    size: int | None = None,
    labeled_only: bool = False,
    local: bool = False,
) -> ArrayPool:
    """`place` of examples that are checked."""
    rows, number, count = num_rows(inputs), 0, 1
    if local:
        number, count = jax.process_index(), jax.process_count()
    most = processes.largest(rows) * count if local else rows
    padded = padded_rows(max(most, size or 0), _shards(mesh))
    # In a program these are computed: constants would be arrays of the pool's size on the host.
    traced = is_traced(inputs, labels)
    xp = jnp if traced or isinstance(labels, jax.Array) else np
    labels = xp.full(rows, -1) if labels is None else xp.asarray(labels)
    labels = labels.astype("float32" if are_targets(labels) else "int32")
    valid = is_known(labels) if labeled_only else (jnp if traced else np).ones(rows, bool)

    def placed(tree: PyTree, fill: int | float) -> PyTree:
        return devices.place_rows(tree, mesh, padded, fill, first=number * (padded // count))

    unknown = unknown_label(labels.dtype)
    reads = devices.is_on_hosts((inputs, labels), mesh) and not is_traced(inputs, labels)
    with processes.agreed(reads):
        return ArrayPool(
            placed(inputs, 0), placed(labels, unknown), placed(valid, 0), batch_size, mesh
        )


def _shards(mesh: Mesh | None) -> int:
    return 1 if mesh is None else mesh.shape[devices.DATA]


def padded_rows(rows: int, shards: int) -> int:
    """As many rows as `place` makes of them for so many devices, padding included.

    The shards of a large pool hold whole lines, whose sums are those of any number of devices.
    """
    lines = shards * LINE
    return rows + -rows % (lines if shards > 1 and rows >= MANY * lines else shards)


def size_class(rows: int) -> int:
    """The least of a few sizes that holds so many rows: at most an eighth larger, exact up to 16.

    Pools of one class share their compiled programs.

    >>> [size_class(rows) for rows in (1, 16, 100, 970, 1000, 1030)]
    [1, 16, 104, 1024, 1024, 1152]
    """
    check_integer(1, rows=rows)
    step = 1 << max(0, (rows - 1).bit_length() - 4)
    return rows + -rows % step


def map_batches(function: Callable[[PyTree], PyTree], rows: PyTree, batch_size: int) -> PyTree:
    """Applies a function of a batch to all rows, `batch_size` at most at a time.

    The last batch overlaps the one before in place of padding, so nothing is copied and one trace
    of `function` serves all batches.

    Args:
      function: leaves [n, ...] -> leaves [n, ...], each row by itself.
      rows: leaves [N, ...].
      batch_size: rows at once; memory is one batch's activations and the results. Of those that
        are leaves of `rows` as they came no copy is made.

    Returns:
      Leaves [N, ...].
    """
    total = num_rows(rows)
    if total <= batch_size:
        return function(rows)
    size = batch_rows(total, batch_size)

    one = jax.eval_shape(lambda: rows_from(rows, 0, size))
    traced, shapes = jax.make_jaxpr(function, return_shape=True)(one)
    shapes, structure = jax.tree.flatten(shapes)
    # What the function hands on as it came needs no copy.
    given = dict(zip(map(id, traced.jaxpr.invars), jax.tree.leaves(rows), strict=True))
    results = [given.get(id(result)) for result in traced.jaxpr.outvars]
    made = [place for place, leaf in enumerate(results) if leaf is None]

    def body(carry):
        # A batch that would end past the last row begins earlier: slices stay inside the array.
        start, found = carry
        some = jax.tree.leaves(function(rows_from(rows, start, size)))
        return start + size, with_rows(found, start, writable([some[place] for place in made]))

    # No zeros: XLA would keep a copy of them for others of this shape.
    blank = [jnp.ones((total, *shapes[place].shape[1:]), shapes[place].dtype) for place in made]
    start = jnp.int32(0), writable(blank)
    found = jax.lax.while_loop(lambda carry: carry[0] < total, body, start)[1]
    for place, leaf in zip(made, found, strict=True):
        results[place] = given_back(leaf, shapes[place].dtype)
    return jax.tree.unflatten(structure, results)


def batch_rows(total: int, batch_size: int) -> int:
    """How many of so many rows a batch has: `batch_size` at most, and as few batches as can be."""
    return -(-total // -(-total // batch_size))


def map_rows(
    function: Callable[[PyTree, PyTree], PyTree],
    shared: PyTree,
    rows: PyTree,
    *,
    batch_size: int,
    mesh: Mesh | None = None,
) -> PyTree:
    """Applies `function(shared, batch)` to all rows, each device to its own, without communication.

    Args:
      function: (shared, leaves [n, ...]) -> leaves [n, ...], each row by itself.
      shared: what every batch needs (keys, variables); replicated.
      rows: leaves [N, ...], placed by `place` where there is a mesh.
      batch_size: rows at once on a device.
      mesh: as given to `place`.

    Returns:
      Leaves [N, ...], sharded as the rows are.
    """

    def local(shared, rows):
        return map_batches(lambda batch: function(shared, batch), rows, batch_size)

    return on_each_device(local, mesh, (REPLICATED, SHARED))(shared, rows)


def on_each_device(
    local: Callable[..., PyTree], mesh: Mesh | None, arguments: tuple[PartitionSpec, ...]
) -> Callable[..., PyTree]:
    """A function that every device of a mesh runs on its own rows; the results are shared as these.

    Args:
      local: what a device does.
      mesh: None for one device.
      arguments: for each argument of `local`, SHARED or REPLICATED.
    """
    if mesh is None or mesh.shape[devices.DATA] == 1:
        return local
    # Manual over the data axis only, so that a vmap over seeds may use the other.
    return jax.shard_map(
        local,
        mesh=mesh,
        in_specs=arguments,
        out_specs=SHARED,
        axis_names={devices.DATA},
        check_vma=False,
    )
