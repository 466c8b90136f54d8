"""The few types that every part of jaxal shares, and the checks made where a public function is entered.

Shape letters, everywhere: N pool rows, n a batch of them, C classes, D feature width, K posterior
draws, B budget, M centers, T targets. Masks are bool and True means usable. Scores: higher is queried
first. Information is in nats.
"""

import difflib
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, Protocol

import jax
import jax.core

PyTree = Any
"""Any nesting of containers whose leaves are arrays."""


class Outputs(NamedTuple):
    """What a model says of a batch."""

    logits: jax.Array  # [n, C]
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
    """A classifier as three pure functions; `variables["params"]` is what an optimizer may change."""

    init: Callable[[jax.Array, PyTree], dict[str, PyTree]]  # (key, inputs) -> variables
    apply: ApplyFn
    train: TrainFn


class Examples(NamedTuple):
    """Inputs with their labels. A plain `(inputs, labels)` tuple does as well, everywhere."""

    inputs: PyTree  # leaves [N, ...]
    labels: Any  # [N] integers; -1 where unknown


class Selection(NamedTuple):
    """Rows of the pool in the order picked, each once; -1 past the last available row."""

    rows: jax.Array  # [B] int32
    scores: jax.Array  # [B] float32, what each row was worth when it was picked


class WeightedSelection(NamedTuple):
    """A `Selection` whose rows are to be trained on with these weights."""

    rows: jax.Array  # [B] int32
    scores: jax.Array  # [B] float32
    weights: jax.Array  # [B] float32, at least 0; 1 is the weight of any other row


class View(NamedTuple):
    """All that a strategy may see when it selects."""

    observation: PyTree  # leaves [N, ...], what the strategy's `observe` returned
    labels: jax.Array  # [N] int32, -1 where unknown
    labeled: jax.Array  # [N] bool
    available: jax.Array  # [N] bool, may be picked
    query: PyTree = None  # observations of examples like those wanted
    private: PyTree = None  # observations of examples like those to avoid
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

    def __call__(
        self, key: jax.Array, view: View, budget: int
    ) -> Selection | WeightedSelection: ...


class Strategy(NamedTuple):
    """An acquisition rule: a map over the examples and one decision over what it returned.

    `observe(key, model, variables, inputs [n, ...], labels [n]) -> pytree, leading axis n` is called on
    batches of the pool, in any order and on any device, so what it returns for a row may depend on that
    row alone; `labels` is -1 where unknown. The key is the round's, the same for every batch.
    `select(key, view, budget) -> Selection`, or a `WeightedSelection`, sees all rows at once. Both are pure
    and are traced once.
    """

    observe: ObserveFn
    select: SelectFn


def nearest(name: str, known: Iterable[str]) -> str:
    """The tail of an error message about an unknown name: a suggestion and the valid names."""
    known = sorted(known)
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return f"{hint}valid names: {', '.join(known)}"


def check_name(option: str, name: str, known: Iterable[str]) -> None:
    """Raises ValueError, with the nearest of the known names, unless the option has one of them."""
    if name not in known:
        raise ValueError(f"{option}: {name!r} is unknown; {nearest(name, known)}")


def check_rank(name: str, array: jax.Array, rank: int, shape: str) -> None:
    """Raises ValueError unless `array` has `rank` axes; `shape` says them, as in "[N, C]"."""
    if array.ndim != rank:
        raise ValueError(f"{name}: expected shape {shape}, got {tuple(array.shape)}")


def check_rows(**arrays: jax.Array) -> None:
    """Raises ValueError unless all arrays agree in their leading axis."""
    rows = {name: array.shape[0] for name, array in arrays.items()}
    if len(set(rows.values())) > 1:
        said = ", ".join(f"{name} has {count}" for name, count in rows.items())
        raise ValueError(f"leading axes must agree: {said}")


def check_budget(budget: int, rows: int) -> None:
    """Raises unless `budget` is an integer from 1 to the number of pool rows."""
    if isinstance(budget, bool) or not hasattr(budget, "__index__"):
        raise TypeError(f"budget: expected an integer, got {budget!r}")
    if not 1 <= budget <= rows:
        raise ValueError(
            f"budget: expected 1 to {rows} (the rows of the pool), got {budget}"
        )


def check_positive(**numbers: float) -> None:
    """Raises ValueError unless each number is above zero."""
    for name, number in numbers.items():
        if not number > 0:
            raise ValueError(f"{name}: expected a number above 0, got {number!r}")


def is_traced(*trees: PyTree) -> bool:
    """Whether any leaf is a tracer, so that its values cannot be looked at."""
    return any(
        isinstance(leaf, jax.core.Tracer) for leaf in jax.tree_util.tree_leaves(trees)
    )
