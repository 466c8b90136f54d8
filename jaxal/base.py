"""The few types that every part of jaxal shares.

Shape letters, everywhere: N pool rows, n a batch of them, C classes, D feature width, K posterior
draws, B budget, M centers, T targets. Masks are bool and True means usable. Scores: higher is
queried first. Information is in nats.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import jax

TASKS = ("classification", "regression")
"""What a model learns: classes, or numbers."""

PyTree = Any
"""Any nesting of containers whose leaves are arrays."""


class Outputs(NamedTuple):
    """Model outputs for a batch of n examples."""

    logits: jax.Array  # [n, C]; of a regression [n, 1], the prediction
    features: jax.Array  # [n, D], the input of the last dense layer


class ApplyFn(Protocol):
    """Inference: running statistics fixed; dropout on if a key is given."""

    def __call__(
        self, variables: PyTree, inputs: PyTree, *, key: jax.Array | None = None
    ) -> Outputs: ...


class TrainFn(Protocol):
    """A training pass: dropout on, running statistics updated."""

    def __call__(
        self, variables: PyTree, inputs: PyTree, *, key: jax.Array
    ) -> tuple[Outputs, PyTree]: ...


class Model(NamedTuple):
    """A classifier, or a regression, as three pure functions; training changes ["params"].

    A regression is a model of one output: logits [n, 1] are what it predicts.
    """

    init: Callable[[jax.Array, PyTree], dict[str, PyTree]]  # (key, inputs) -> variables
    apply: ApplyFn
    train: TrainFn
    member: "Model | None" = None  # of an ensemble, whose variables are stacked: leaves [K, ...]
    prepare: Callable[[PyTree], PyTree] | None = None  # raw inputs -> floats that `apply` takes too


def prepared(model: Model, inputs: PyTree) -> PyTree:
    """The inputs by which `model.apply` has gradients: as they are, unless the model prepares them.

    Args:
      model: whose `prepare` is asked.
      inputs: leaves [n, ...].
    """
    return inputs if model.prepare is None else model.prepare(inputs)


class Examples(NamedTuple):
    """Inputs with their labels. A plain `(inputs, labels)` tuple does as well, everywhere."""

    inputs: PyTree  # leaves [N, ...]
    labels: Any  # [N] integers, -1 where unknown; or the targets of a regression, floats, NaN there


class Selection(NamedTuple):
    """Selected pool rows in order, without repeats; -1 where fewer are available than asked for."""

    rows: jax.Array  # [B] int32
    scores: jax.Array  # [B] float32, what each row was worth when it was picked
    weights: jax.Array | None = None  # [B] float32 >= 0, in training; None: 1 each


class View(NamedTuple):
    """All that a strategy may see when it selects."""

    observation: PyTree  # leaves [N, ...], what the strategy's `observe` returned
    labels: jax.Array  # [N] int32, -1 where unknown; or float32, NaN there
    labeled: jax.Array  # [N] bool
    available: jax.Array  # [N] bool, may be picked
    query: PyTree = None  # observations of examples like those wanted
    private: PyTree = None  # observations of examples like those to avoid
    private_usable: Any = None  # [P] bool, which of these there are; None: all
    validation: PyTree = None  # observations of held-out labelled examples


class ObserveFn(Protocol):
    """Maps a batch of examples to what the rule needs of each; see `Strategy`."""

    def __call__(
        self,
        key: jax.Array,
        model: Model,
        variables: PyTree,
        inputs: PyTree,
        labels: jax.Array,
    ) -> PyTree: ...


class SelectFn(Protocol):
    """Reduces a `View` to the rows to label next; see `Strategy`."""

    def __call__(self, key: jax.Array, view: View, budget: int) -> Selection: ...


class CopyRule(NamedTuple):
    """How a strategy decides from a short copy of what it observes of a pool that is read.

    Of the features the copy alone is kept, and how far off it is, and those of the rows that this
    leaves open are observed again. What is returned is what `Strategy.select` would return of all
    features, or follows the same law.
    """

    precision: str  # of the copy, as of `pools.compress`
    features: Callable[[PyTree], tuple[jax.Array, PyTree]]  # of what is observed; [n, D], the rest
    # (key, `pools.CompressedPool`, the rest of what is observed, leaves [N, ...], view without an
    # observation, budget) -> Selection; it reads rows, so it is not traced
    select: Callable[..., Selection]


class Strategy(NamedTuple):
    """An acquisition rule: a map over the examples and one decision over what it returned.

    `observe(key, model, variables, inputs [n, ...], labels [n]) -> pytree, leading axis n` is
    called on batches of the pool, in any order and on any device, so what it returns for a row may
    depend on that row alone; `labels` is -1 where unknown. The key is the round's, the same for
    every batch. Row numbers are withheld on purpose: with them, a pool in another order would
    give other scores. Noise of a row's own is told apart by the row's contents, as the dropout
    masks are (`posterior.dropout.fingerprint`), or drawn in `select`.
    `select(key, view, budget) -> Selection` sees all rows at once. Both are pure and are traced
    once.
    """

    observe: ObserveFn
    select: SelectFn
    reads_labels: bool = True  # whether `select` looks at the labelled rows; False saves time
    name: str | None = None  # for messages; those from `jaxal.strategies` have theirs
    regresses: bool | None = None  # whether it works for a regression too; None: it is not said
    copy: CopyRule | None = None  # of a pool that is read, in place of `select` on all features
