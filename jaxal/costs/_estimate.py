"""What a decision will cost, before it is made: its program compiled for shapes alone, and read."""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxal import entry, models, strategies
from jaxal.base import Examples, Model, PyTree, Strategy
from jaxal.checks import check_budget
from jaxal.costs.explicit import explicit
from jaxal.costs.loops import Sizes, steps
from jaxal.costs.machine import Machine, check_machine, measured
from jaxal.costs.program import read
from jaxal.costs.work import work_of
from jaxal.loop import acquire
from jaxal.loop.returned import check_strategy
from jaxal.pools import devices

NEEDS = {"smi": ("query",), "scg": ("private",), "scmi": ("query", "private")}
EXAMPLES = 10  # of a further set
DROPOUT = 0.3  # of a model that nobody said anything about
START = 4e-5  # seconds before a program does anything


class Estimate(NamedTuple):
    """What a decision takes, on each device."""

    seconds: float  # without compiling
    bytes: float  # of memory at the peak: arguments, temporaries and results
    arguments: float  # of these, the pool's and the model's
    temporaries: float  # of these, what the decision needs besides
    flops: float  # of products
    moved: float  # bytes read and written
    sent: float  # bytes received from other devices
    steps: float  # kernels that run one after the other


@entry.checked(
    rows=entry.integer(1),
    features=entry.integer(1),
    budget=entry.integer(1),
    classes=entry.integer(2),
    labeled=entry.integer(0),
    machine=check_machine,
    model=entry.instance(Model),
)
def estimate(
    strategy: Strategy | str,
    rows: int,
    features: int,
    budget: int,
    *,
    classes: int = 10,
    labeled: int | None = None,
    model: Model | None = None,
    machine: Machine | None = None,
) -> Estimate:
    """What one decision of a strategy will cost, in seconds and bytes, before it is started.

    The decision is compiled here for arrays of these shapes, of which none is made: that takes some
    seconds. XLA's program is then read kernel by kernel: each takes as long as its products and
    other operations, or its bytes, would at the machine's peaks. How often loops go round whose end
    depends on the data is as measured on Gaussian clusters; a loop of a strategy of your own counts
    as one step a pick. Of 73 decisions on a CPU, 71 took between half and twice the estimate, and
    the others between a third and 2.1 times of it (`benchmarks/estimate.py`).

    Args:
      strategy: from `jaxal.strategies`, its name, or any pair of functions like those.
      rows: N, of the pool.
      features: D, the width of what the model is given.
      budget: B.
      classes: C.
      labeled: how many rows are labelled already; as many as the budget if not given.
      model: over inputs [n, D]; a dense layer with dropout if not given, so that the inputs are the
        features and what is estimated is hardly more than the decision.
      machine: its peaks; those of the first device here if not given, measured once in a process.

    Returns:
      `Estimate`. Compiling, which takes some seconds, is not in it.

    Raises:
      TypeError: no strategy, model or machine, or numbers of another type.
      ValueError: an unknown name, or numbers out of range.
    """
    if labeled is None:
        labeled = budget
    elif labeled > rows:
        raise ValueError(f"labeled: expected at most {rows} (the rows of the pool), got {labeled}")
    machine = measured() if machine is None else machine
    program = lower(strategy, rows, features, budget, classes=classes, model=model).compile()
    return of_program(program, machine, rows=rows, budget=budget, labeled=labeled)


def lower(
    strategy: Strategy | str,
    rows: int,
    features: int,
    budget: int,
    *,
    classes: int = 10,
    model: Model | None = None,
    mesh: Mesh | None = None,
    dtype: Any = jnp.float32,
) -> jax.stages.Lowered:
    """The decision for arrays that are not made, ready to be compiled for any devices.

    Args:
      strategy: as `estimate`.
      rows: as `estimate`; a multiple of the devices that share them.
      features: as `estimate`.
      budget: as `estimate`.
      classes: as `estimate`.
      model: as `estimate`.
      mesh: of the devices that share the rows, of a topology without devices too.
      dtype: of the inputs.

    Returns:
      What `jax.jit(...).lower` returns; a call would take (key, variables, inputs, labels, mask).

    Raises:
      TypeError: no strategy.
      ValueError: an unknown name, or a budget above the rows.
    """
    if isinstance(strategy, str):
        strategy = strategies.make(strategy)
    check_strategy(strategy)
    check_budget(budget, rows)
    model = models.linear(classes, dropout=DROPOUT) if model is None else model
    key = jax.eval_shape(lambda: jax.random.key(0))
    some = jax.ShapeDtypeStruct((2, features), dtype)
    variables = jax.eval_shape(model.init, key, some)
    pool = (
        jax.ShapeDtypeStruct((rows, features), dtype),
        jax.ShapeDtypeStruct((rows,), jnp.int32),
        jax.ShapeDtypeStruct((rows,), jnp.bool_),
    )
    sets: dict[str, Any] = {
        name: Examples(jnp.zeros((EXAMPLES, features), dtype), jnp.zeros(EXAMPLES, jnp.int32))
        for name in NEEDS.get(strategy.name or "", ())
    }

    def decide(key, variables, inputs, labels, available):
        return acquire(
            key,
            strategy,
            model,
            variables,
            inputs,
            budget,
            labels=labels if strategy.reads_labels else None,
            available=available,
            mesh=mesh,
            **sets,
        )

    placed = _on(mesh, (key, variables)), _on(mesh, pool, devices.DATA)
    return jax.jit(decide).lower(*placed[0], *placed[1])


def _on(mesh: Mesh | None, shapes: PyTree, *axes: str) -> PyTree:
    """The shapes as arrays of a mesh, their rows over an axis of it."""
    if mesh is None:
        return shapes
    sharding = NamedSharding(mesh, PartitionSpec(*axes))

    def place(one: jax.ShapeDtypeStruct) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct(one.shape, one.dtype, sharding=sharding)

    return jax.tree.map(place, shapes)


def of_program(
    program: jax.stages.Compiled, machine: Machine, *, rows: int, budget: int, labeled: int
) -> Estimate:
    """The cost of a program that is compiled, for the devices at hand or for others.

    Args:
      program: from `lower(...).compile()`.
      machine: the peaks of one of the devices it is compiled for.
      rows: N, in all.
      budget: B.
      labeled: rows that are labelled already.

    Returns:
      `Estimate`, of each device.
    """
    sizes = Sizes(rows, budget, labeled)
    work = work_of(explicit(read(program.as_text() or "")), machine, partial(steps, sizes))
    memory: Any = program.memory_analysis()
    held = memory.argument_size_in_bytes, memory.temp_size_in_bytes, memory.output_size_in_bytes
    return Estimate(
        START + work.seconds,
        float(sum(held)),
        float(held[0]),
        float(held[1]),
        work.flops,
        work.moved,
        work.sent,
        work.steps,
    )
