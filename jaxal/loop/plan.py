"""What an experiment is asked to do: its plan, its examples, and the checks of both."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh

from jaxal import data
from jaxal.base import Examples, Model, Outputs, PyTree
from jaxal.checks import (
    check_flag,
    check_integer,
    check_name,
    describe,
    is_array,
    is_integer,
    is_traced,
    seeing_values,
)
from jaxal.data.checks import check_structure
from jaxal.loop.answers import (
    check_classes_to_count,
    check_counts,
    check_initial_counts,
    check_initial_rows,
)
from jaxal.loop.returned import explained
from jaxal.loop.sources import refuse_processes
from jaxal.loop.stop_set import check_stop_set, stop_inputs
from jaxal.models import as_outputs
from jaxal.numerics import are_targets, first, is_known
from jaxal.pools import Pool, StreamedPool, devices
from jaxal.pools.memory import check_values, put
from jaxal.training import AnyLearner
from jaxal.training.base import check_learner

SO_FAR = ("labeled", "found")
OF_NO_CLASS = ("private",)  # sets whose labels may be -1: what is to be avoided may be of no class


@jax.tree_util.register_static
@dataclass(frozen=True)
class RowsSoFar:
    """Private examples that are rows of the pool, other ones in each round.

    "labeled" are those with labels, "found" those that were picked and skipped, as rows that are
    out of distribution are.
    """

    kind: str


class ExampleSets(NamedTuple):
    """Further examples that a strategy may look at: `(inputs, labels)` each, or None."""

    query: Any = None  # like those wanted
    private: Any = None  # like those to avoid; or `RowsSoFar`
    validation: Any = None  # held out
    stop_set: Any = None  # inputs that stopping rules look at, and no strategy

    def given(self) -> dict[str, Any]:
        """The sets that are given as examples, by name."""
        values = self._replace(stop_set=None)._asdict().items()
        return {name: one for name, one in values if not (one is None or _is_so_far(one))}


def _is_so_far(examples: Any) -> bool:
    return isinstance(examples, RowsSoFar)


NO_SETS = ExampleSets()


def example_sets(query: Any, private: Any, validation: Any) -> ExampleSets:
    """The sets of a simulation, whose `private` may be "labeled" or "found": see `RowsSoFar`."""
    if isinstance(private, str):
        check_name("private", private, SO_FAR)
        private = RowsSoFar(private)
    return ExampleSets(query, private, validation)


class Plan(NamedTuple):
    """How many rows are labelled, and when. Hashable, so it may be a static argument."""

    initial: int  # rows labelled before the first round
    budget: int  # rows labelled a round
    rounds: int  # how often a batch is selected; models are fitted once more
    balanced: bool = False  # as many initial rows of each class, as nearly as can be
    batch_size: int = 1024  # rows that go through the model at once on a device
    skip_unlabeled: bool = False  # rows without a label may be picked, and are then skipped
    per_class: tuple[tuple[int, int], ...] = ()  # (class, how many of the initial rows), if fixed

    @property
    def capacity(self) -> int:
        """The most labels there will be."""
        return self.initial + self.rounds * self.budget

    @property
    def skips(self) -> int:
        """The most rows that will be skipped."""
        return self.rounds * self.budget if self.skip_unlabeled else 0


def make_plan(initial: Any, budget: int, rounds: int, **options: Any) -> tuple[Plan, Any]:
    """The plan of a simulation, and its initial rows if they are given.

    Args:
      initial: how many rows, {class: how many}, or rows [n].
      budget: B.
      rounds: how often a batch is selected.
      **options: further fields of `Plan`.
    """
    if isinstance(initial, Mapping):
        check_counts(initial)
        counts = tuple(sorted((int(number), int(count)) for number, count in initial.items()))
        total = sum(count for _, count in counts)
        return Plan(total, budget, rounds, per_class=counts, **options), None
    is_rows = isinstance(initial, list | tuple | range) or (is_array(initial) and initial.ndim > 0)
    count: Any = len(initial) if is_rows else initial
    return Plan(count, budget, rounds, **options), initial if is_rows else None


class TooManyLabels(ValueError):
    """A plan that asks for more labels than the pool has rows."""

    def __init__(self, plan: Plan, rows: int):
        self.plan, self.rows = plan, rows
        super().__init__(
            f"initial + rounds x budget = {plan.initial} + {plan.rounds} x {plan.budget} = "
            f"{plan.capacity}, but the pool has {rows} rows: at most {self.most} rounds"
        )

    @property
    def most(self) -> int:
        """The most rounds that there are rows for."""
        return max(self.rows - self.plan.initial, 0) // self.plan.budget


class Prepared(NamedTuple):
    """The examples of an experiment, checked and on the devices."""

    pool: Pool
    test: Examples
    sets: ExampleSets
    initial_rows: jax.Array | None = None  # [n] int32, if they are given


def prepare(
    learner: AnyLearner,
    pool: Any,
    test: Any,
    plan: Plan,
    sets: ExampleSets,
    mesh: Mesh | None = None,
    *,
    labeled_only: bool = False,
    initial_rows: Any = None,
    stop_set: Any = None,
) -> Prepared:
    """Checks the examples and the plan of an experiment, and puts the arrays on the devices.

    Args:
      learner: whose model is to take the inputs.
      pool: `Examples` or `(inputs, labels)`, inputs a pytree of arrays [N, ...], all labels known;
        or a `StreamedPool`, of whose inputs the first row alone is looked at.
      test: the same, to measure on.
      plan: of the rounds.
      sets: further examples.
      mesh: devices that share the rows of the pool, unless it has its own.
      labeled_only: leave out the rows of the pool whose label is unknown.
      initial_rows: [n] integers, the rows to begin with; drawn, if not given.
      stop_set: inputs that stopping rules look at, leaves [n, ...], or how many rows of the pool
        they are; None: no rule looks at any.

    Raises:
      ValueError: initial + rounds x budget above the pool's rows (says how many rounds there are
        room for), a number below 1, labels outside [0, C) or unknown (says how many), NaN or
        infinite inputs, leading axes that disagree, a model whose outputs have the wrong shapes.
      TypeError: a number that is not an integer, a model that does not return `Outputs`, or arrays
        of the wrong type.
    """
    devices.check_mesh(mesh)
    devices.check_alike(mesh, pool=pool)
    asked = {**plan._asdict(), **sets._asdict(), "initial": (plan.initial, initial_rows)}
    devices.check_same(mesh, test=test, labeled_only=labeled_only, **asked)
    check_learner(learner)
    _check_plan(plan)
    check_flag(labeled_only=labeled_only)
    if labeled_only and plan.skip_unlabeled:
        raise ValueError("skip_unlabeled: expected False, as labeled_only leaves these rows out")
    streamed = pool if isinstance(pool, StreamedPool) else None
    mesh = mesh if streamed is None else streamed.mesh
    bare: Any = pool if streamed is None else streamed.bare()
    named = {"pool": bare, "test": test, **sets.given()}
    for name, examples in named.items():
        check_structure(examples, name)
    pool, test = Examples(*bare), Examples(*test)
    devices.check_same(mesh, **{"pool labels": pool.labels})
    check_stop_set(stop_set)
    rows = len(pool.labels)
    if not is_traced(named):
        some = streamed.first() if streamed is not None else None
        given = {"test": test, **sets.given()}
        asked = (labeled_only, initial_rows, stop_set)
        rows = _checked_rows(learner, pool, some, given, plan, mesh, *asked)
    if plan.capacity > rows:
        raise TooManyLabels(plan, rows)
    if initial_rows is not None:
        initial_rows = np.asarray(initial_rows, np.int32)
    test, sets, initial_rows = devices.replicate((test, sets, initial_rows), mesh)
    if streamed is None:
        options: Any = {"batch_size": plan.batch_size, "labeled_only": labeled_only}
        placed = put(pool.inputs, pool.labels, mesh, **options)
    else:
        placed = streamed.labeled() if labeled_only else streamed
    sets = sets._replace(stop_set=stop_inputs(placed, len(pool.labels), stop_set, mesh))
    return Prepared(placed, test, sets, initial_rows)


def _checked_rows(
    learner: AnyLearner,
    pool: Examples,
    some: PyTree,
    given: Mapping[str, Any],
    plan: Plan,
    mesh: Mesh | None,
    labeled_only: bool,
    initial_rows: Any,
    stop_set: Any,
) -> int:
    """How many rows can be labelled, once the values of all examples are checked; see `prepare`.

    Args:
      learner: whose model takes the inputs.
      pool: its arrays, or of a pool that is read what stands for them.
      some: inputs of the pool, if it is read; None: they are in `pool`.
      given: further examples, by name.
      plan: of the rounds.
      mesh: of the pool.
      labeled_only: leave out rows whose label is unknown.
      initial_rows: to begin with, or None.
      stop_set: inputs, how many rows, or None.
    """
    with seeing_values():
        some = first(pool.inputs) if some is None else some
        variables = jax.eval_shape(learner.model.init, jax.random.key(0), some)
        classes = check_model(learner.model, variables, some)
        check_same_shapes(some, given)
        if not (stop_set is None or is_integer(stop_set) or is_traced(stop_set)):
            check_same_shapes(some, {"stop_set": (stop_set,)})
        unknown = _unknown(pool.labels, labeled_only or plan.skip_unlabeled)
        check_values(pool, classes, mesh, allow_unknown=unknown > 0)
        for name, examples in given.items():
            data.check(examples, classes, name, allow_unknown=name in OF_NO_CLASS)
        _check_initial(plan, pool.labels, unknown, initial_rows)
    return len(pool.labels) - (0 if plan.skip_unlabeled else unknown)


def _check_plan(plan: Plan) -> None:
    numbers = plan._asdict()
    for flag in ("balanced", "skip_unlabeled"):
        check_flag(**{flag: numbers.pop(flag)})
    del numbers["per_class"]
    check_integer(1, **numbers)


def _check_initial(plan: Plan, labels: Any, unknown: int, rows: Any) -> None:
    """Checks that the labels of the initial rows are known: of as many, or of these."""
    known = len(labels) - unknown
    check_classes_to_count(labels, balanced=plan.balanced, by_class=bool(plan.per_class))
    if plan.per_class:
        check_initial_counts(dict(plan.per_class), labels)
    elif rows is not None:
        check_initial_rows(rows, labels, len(labels))
    elif plan.initial > known:
        raise ValueError(
            f"initial: expected 1 to {known}, as the pool knows the labels of so many rows, "
            f"got {plan.initial}"
        )


def _unknown(labels: Any, allowed: bool) -> int:
    """How many labels are unknown; refuses any unless they are allowed."""
    unknown = int((~is_known(labels)).sum() if are_targets(labels) else (labels == -1).sum())
    if unknown and not allowed:
        what = "NaN" if are_targets(labels) else "-1"
        raise ValueError(unknown_labels(unknown, len(labels), "labeled_only=True", what))
    return unknown


def unknown_labels(unknown: int, rows: int, option: str, what: str = "-1") -> str:
    """What a simulation says of a pool that does not know all labels."""
    return (
        f"pool labels: expected all to be known, as a simulation tells them, got {unknown} of "
        f"{rows} that are {what}; {option} leaves these rows out"
    )


POOL = ("labels", "valid", "batch_size", "mesh", "first", "take", "map")
"""What a `Pool` has."""


def check_pool(pool: Any) -> None:
    """Raises TypeError unless the pool is one, ValueError if several processes would read it."""
    if not all(hasattr(pool, name) for name in POOL):
        raise TypeError(f"pool: expected a Pool, as jaxal.place returns, got {describe(pool)}")
    if isinstance(pool, StreamedPool):
        refuse_processes("pool", pool.mesh)


def check_same_shapes(inputs: PyTree, sets: Mapping[str, Any]) -> None:
    """Raises ValueError unless the rows of all further examples have the shapes of the pool's."""

    def shapes(inputs):
        return jax.tree.map(lambda leaf: tuple(leaf.shape[1:]), inputs)

    for name, examples in sets.items():
        if shapes(examples[0]) != shapes(inputs):
            raise ValueError(
                f"{name} inputs: expected rows of shape {shapes(inputs)}, as in the pool, "
                f"got {shapes(examples[0])}"
            )


def check_model(model: Model, variables: PyTree, inputs: PyTree) -> int:
    """Checks, without running it, that the model returns `Outputs`; returns C, 1 a regression."""

    def outputs(variables, inputs):
        outputs = model.apply(variables, inputs)
        if not isinstance(outputs, Outputs):
            raise TypeError(
                f"model.apply: expected Outputs(logits, features), got {type(outputs).__name__};"
                " the adapters in jaxal.models make it of a pair"
            )
        return as_outputs(outputs, "model.apply")

    with explained("model.apply with these variables and inputs", wrap=True):
        return jax.eval_shape(outputs, variables, first(inputs)).logits.shape[-1]
