"""What an experiment is asked to do: its plan, its examples, and the checks of both."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
from jax.sharding import Mesh

from jaxal import data
from jaxal.base import Examples, Model, Outputs, PyTree
from jaxal.checks import check_flag, check_integer, describe, is_traced
from jaxal.data.checks import check_structure
from jaxal.loop.returned import explained
from jaxal.models import as_outputs
from jaxal.numerics import first
from jaxal.pools import Pool, devices
from jaxal.pools.memory import put
from jaxal.training import AnyLearner
from jaxal.training.base import check_learner


class ExampleSets(NamedTuple):
    """Further examples that a strategy may look at: `(inputs, labels)` each, or None."""

    query: Any = None  # like those wanted
    private: Any = None  # like those to avoid
    validation: Any = None  # held out

    def given(self) -> dict[str, Any]:
        """The sets that are not None, by name."""
        return {name: value for name, value in self._asdict().items() if value is not None}


NO_SETS = ExampleSets()


class Plan(NamedTuple):
    """How many rows are labelled, and when. Hashable, so it may be a static argument."""

    initial: int  # rows labelled before the first round
    budget: int  # rows labelled a round
    rounds: int  # how often a batch is selected; models are fitted once more
    balanced: bool = False  # as many initial rows of each class, as nearly as can be
    batch_size: int = 1024  # rows that go through the model at once on a device

    @property
    def capacity(self) -> int:
        """The most labels there will be."""
        return self.initial + self.rounds * self.budget


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


def prepare(
    learner: AnyLearner,
    pool: Any,
    test: Any,
    plan: Plan,
    sets: ExampleSets,
    mesh: Mesh | None = None,
    *,
    labeled_only: bool = False,
) -> Prepared:
    """Checks the examples and the plan of an experiment, and puts the arrays on the devices.

    Args:
      learner: whose model is to take the inputs.
      pool: `Examples` or `(inputs, labels)`, inputs a pytree of arrays [N, ...], all labels known.
      test: the same, to measure on.
      plan: of the rounds.
      sets: further examples.
      mesh: devices that share the rows of the pool.
      labeled_only: leave out the rows of the pool whose label is unknown.

    Raises:
      ValueError: initial + rounds x budget above the pool's rows (says how many rounds there are
        room for), a number below 1, labels outside [0, C) or unknown (says how many), NaN or
        infinite inputs, leading axes that disagree, a model whose outputs have the wrong shapes.
      TypeError: a number that is not an integer, a model that does not return `Outputs`, or arrays
        of the wrong type.
    """
    check_learner(learner)
    _check_plan(plan)
    check_flag(labeled_only=labeled_only)
    devices.check_mesh(mesh)
    named = {"pool": pool, "test": test, **sets.given()}
    for name, examples in named.items():
        check_structure(examples, name)
    pool, test = Examples(*pool), Examples(*test)
    rows = len(pool.labels)
    if not is_traced(named):
        variables = jax.eval_shape(learner.model.init, jax.random.key(0), first(pool.inputs))
        classes = check_model(learner.model, variables, pool.inputs)
        check_same_shapes(pool.inputs, {"test": test, **sets.given()})
        rows -= _unknown(pool.labels, labeled_only)
        for name, examples in named.items():
            allow_unknown = labeled_only and name == "pool"
            data.check(examples, classes, name, allow_unknown=allow_unknown)
    if plan.capacity > rows:
        raise TooManyLabels(plan, rows)
    test, sets = devices.replicate((test, sets), mesh)
    placed = put(
        pool.inputs,
        pool.labels,
        mesh,
        batch_size=plan.batch_size,
        labeled_only=labeled_only,
    )
    return Prepared(placed, test, sets)


def _check_plan(plan: Plan) -> None:
    numbers = plan._asdict()
    check_flag(balanced=numbers.pop("balanced"))
    check_integer(1, **numbers)


def _unknown(labels: Any, labeled_only: bool) -> int:
    """How many labels are unknown; refuses any unless these rows are to be left out."""
    unknown = int((labels == -1).sum())
    if unknown and not labeled_only:
        raise ValueError(unknown_labels(unknown, len(labels), "labeled_only=True"))
    return unknown


def unknown_labels(unknown: int, rows: int, option: str) -> str:
    """What a simulation says of a pool that does not know all labels."""
    return (
        f"pool labels: expected all to be known, as a simulation tells them, got {unknown} of "
        f"{rows} that are -1; {option} leaves these rows out"
    )


def check_pool(pool: Any) -> None:
    """Raises TypeError unless the pool is one, as `place` returns it."""
    if not all(hasattr(pool, name) for name in ("labels", "valid", "take", "map")):
        raise TypeError(f"pool: expected a Pool, as jaxal.place returns, got {describe(pool)}")


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
    """Checks, without running it, that the model returns `Outputs`; returns C, its classes."""

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
