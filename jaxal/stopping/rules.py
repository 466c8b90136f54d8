"""Stopping rules as a loop takes them: what they remember has a fixed size, and is a pytree.

Each is the rule over histories of the same name, a round at a time. They are frozen, and equal by
value, so that they may be static arguments of a compiled program.
"""

import math
from dataclasses import MISSING, dataclass
from typing import Any, ClassVar, NamedTuple, Protocol

import jax
import jax.numpy as jnp

from jaxal.base import PyTree
from jaxal.fields import check_fields, checked, count, positive
from jaxal.scores import entropy
from jaxal.stopping.errors import error_gap
from jaxal.stopping.predictions import cohen_kappa


class Seen(NamedTuple):
    """What a loop shows its rules in a round: what they need of it, and None else.

    M is the room for labelled rows, n are the rows of the stop set, B is the budget.
    """

    labels: jax.Array | None = None  # [] int32, labels bought so far
    test_accuracy: jax.Array | None = None  # []
    validation_accuracy: jax.Array | None = None  # []
    logits: jax.Array | None = None  # [n, C], of the stop set
    features: jax.Array | None = None  # [M, D], of the labelled rows
    known: jax.Array | None = None  # [M] int32, their labels
    count: jax.Array | None = None  # [] int32, how many there are; they come first
    scores: jax.Array | None = None  # [B], of the picks
    num_classes: int = 0


class Rule(Protocol):
    """A stopping rule: any hashable object with these; equal ones compute the same.

    Attributes:
      name: in records.
      needs: which of "stop_set" (`logits`), "validation", "labelled" (`features`, `known` and
        `count`) and "scores" it looks at. With the last it is asked once rows are picked, and may
        remember nothing.
    """

    @property
    def name(self) -> str: ...
    @property
    def needs(self) -> tuple[str, ...]: ...
    def begin(self, rows: int, classes: int) -> PyTree:
        """What it remembers before the first round, of so many rows in the stop set."""
        ...

    def look(self, memory: PyTree, seen: Seen) -> tuple[PyTree, jax.Array, jax.Array]:
        """What it remembers after a round, its number [] float32, and whether to stop [] bool."""
        ...

    def says(self, value: float) -> str:
        """Why it stopped the loop at this number, in words."""
        ...


@dataclass(frozen=True, kw_only=True)
class _Checked:
    """Fields that are checked, and nothing remembered."""

    needs: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self):
        check_fields(self)

    def begin(self, rows: int, classes: int) -> PyTree:
        """Nothing."""
        return ()


def _threshold(default: Any) -> Any:
    return checked("a finite number", lambda x: -math.inf < x < math.inf, default)


@dataclass(frozen=True, kw_only=True)
class Kappa(_Checked):
    """The predictions of consecutive rounds agree: `stabilizing_predictions`.

    Attributes:
      window: how many kappas of consecutive rounds are averaged.
      threshold: from which mean on to stop.
    """

    name: ClassVar[str] = "kappa"
    needs: ClassVar[tuple[str, ...]] = ("stop_set",)
    window: int = count(3)
    threshold: float = _threshold(0.99)

    def begin(self, rows: int, classes: int) -> PyTree:
        """The last predictions, the last kappas, and how many rounds there were."""
        return jnp.zeros(rows, jnp.int32), jnp.zeros(self.window, jnp.float32), jnp.int32(0)

    def look(self, memory: PyTree, seen: Seen) -> tuple[PyTree, jax.Array, jax.Array]:
        """The number is the mean of the last kappas."""
        last, kappas, rounds = memory
        predictions, classes = _predictions(seen)
        kappa = cohen_kappa(last, predictions, num_classes=classes).astype(kappas.dtype)
        kappas = jnp.where(rounds > 0, jnp.append(kappas[1:], kappa), kappas)
        mean = jnp.where(rounds >= self.window, kappas.mean(), -jnp.inf)
        return (predictions, kappas, rounds + 1), mean, mean >= self.threshold

    def says(self, value: float) -> str:
        """The mean."""
        return f"kappa of consecutive predictions is {value:.4g} in the mean of {self.window}"


@dataclass(frozen=True, kw_only=True)
class ClassificationChange(_Checked):
    """Hardly any prediction differs from the round before: `classification_change`.

    Attributes:
      threshold: up to which share of changed predictions to stop.
    """

    name: ClassVar[str] = "classification_change"
    needs: ClassVar[tuple[str, ...]] = ("stop_set",)
    threshold: float = _threshold(0.0)

    def begin(self, rows: int, classes: int) -> PyTree:
        """The last predictions, and how many rounds there were."""
        return jnp.zeros(rows, jnp.int32), jnp.int32(0)

    def look(self, memory: PyTree, seen: Seen) -> tuple[PyTree, jax.Array, jax.Array]:
        """The number is the share of predictions that changed."""
        last, rounds = memory
        predictions, _ = _predictions(seen)
        share = jnp.mean(predictions != last).astype(jnp.float32)
        share = jnp.where(rounds > 0, share, jnp.inf)
        return (predictions, rounds + 1), share, share <= self.threshold

    def says(self, value: float) -> str:
        """The share."""
        return f"{value:.2%} of the predictions changed"


@dataclass(frozen=True, kw_only=True)
class OverallUncertainty(_Checked):
    """The model is sure of nearly all examples: `overall_uncertainty`.

    Attributes:
      threshold: below which mean of entropy / log C to stop.
    """

    name: ClassVar[str] = "overall_uncertainty"
    needs: ClassVar[tuple[str, ...]] = ("stop_set",)
    threshold: float = _threshold(0.05)

    def look(self, memory: PyTree, seen: Seen) -> tuple[PyTree, jax.Array, jax.Array]:
        """The number is the mean entropy, of 1 at most."""
        logits = _given(seen.logits)
        mean = jnp.mean(entropy(logits)) / jnp.log(float(logits.shape[-1]))
        return memory, mean.astype(jnp.float32), mean < self.threshold

    def says(self, value: float) -> str:
        """The mean."""
        return f"the mean entropy is {value:.4g} of its most"


@dataclass(frozen=True, kw_only=True)
class ErrorStability(_Checked):
    """New labels can no longer change the expected error by much: `error_stability`.

    Attributes:
      threshold: up to which ratio of a gap to the first one to stop.
      prior_precision: of each weight of the last layer, as in `error_gap`.
    """

    name: ClassVar[str] = "error_stability"
    needs: ClassVar[tuple[str, ...]] = ("labelled",)
    threshold: float = positive(0.05)
    prior_precision: float = positive(1.0)

    def begin(self, rows: int, classes: int) -> PyTree:
        """How many labels there were, the first gap, and how many rounds."""
        return jnp.int32(0), jnp.float32(0), jnp.int32(0)

    def look(self, memory: PyTree, seen: Seen) -> tuple[PyTree, jax.Array, jax.Array]:
        """The number is the ratio of the gap to the first one."""
        before, first, rounds = memory
        features, after = _given(seen.features), _given(seen.count)
        number = jnp.arange(len(features), dtype=jnp.int32)
        gap = error_gap(
            features,
            _given(seen.known),
            number < before,
            number < after,
            num_classes=seen.num_classes,
            prior_precision=self.prior_precision,
        ).astype(first.dtype)
        first = jnp.where(rounds == 1, gap, first)
        ratio = jnp.where(first > 0, gap / jnp.where(first > 0, first, 1), jnp.sign(gap))
        ratio = jnp.where(rounds > 1, ratio, jnp.inf)
        return (after, first, rounds + 1), ratio, ratio <= self.threshold

    def says(self, value: float) -> str:
        """The ratio."""
        return f"new labels may change the error by {value:.4g} of what the first did"


@dataclass(frozen=True, kw_only=True)
class Budget(_Checked):
    """So many labels are bought.

    Attributes:
      labels: how many, those of skipped rows and the initial ones too.
    """

    name: ClassVar[str] = "budget"
    labels: int = count()

    def look(self, memory: PyTree, seen: Seen) -> tuple[PyTree, jax.Array, jax.Array]:
        """The number is that of the labels."""
        labels = _given(seen.labels)
        return memory, labels.astype(jnp.float32), labels >= self.labels

    def says(self, value: float) -> str:
        """The labels."""
        return f"{value:.0f} labels are bought"


@dataclass(frozen=True, kw_only=True)
class Accuracy(_Checked):
    """The model is good enough on held-out examples.

    That of the round in which the loop stops is too high in the mean, as a lucky round stops it:
    `jaxal.evaluation` measures it anew.

    Attributes:
      threshold: from which accuracy on to stop.
      on: "test", or "validation" for the validation examples, which need to be given then.
    """

    name: ClassVar[str] = "accuracy"
    threshold: float = checked("a number above 0, at most 1", lambda x: 0 < x <= 1)
    on: str = checked("test or validation", lambda name: name in ("test", "validation"), "test")

    @property
    def needs(self) -> tuple[str, ...]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The validation examples, or nothing more."""
        return () if self.on == "test" else ("validation",)

    def look(self, memory: PyTree, seen: Seen) -> tuple[PyTree, jax.Array, jax.Array]:
        """The number is the accuracy."""
        found = _given(seen.test_accuracy if self.on == "test" else seen.validation_accuracy)
        return memory, found.astype(jnp.float32), found >= self.threshold

    def says(self, value: float) -> str:
        """The accuracy."""
        return f"the {self.on} accuracy is {value:.2%}"


@dataclass(frozen=True, kw_only=True)
class Tolerance(_Checked):
    """What would be labelled next has little to tell: all scores of the picks are low.

    These picks are not labelled. What a score means is up to the strategy.

    Attributes:
      threshold: below which highest score to stop.
    """

    name: ClassVar[str] = "tolerance"
    needs: ClassVar[tuple[str, ...]] = ("scores",)
    threshold: float = _threshold(MISSING)

    def look(self, memory: PyTree, seen: Seen) -> tuple[PyTree, jax.Array, jax.Array]:
        """The number is the highest score."""
        highest = jnp.max(_given(seen.scores)).astype(jnp.float32)
        return memory, highest, highest < self.threshold

    def says(self, value: float) -> str:
        """The score."""
        return f"the highest score of the picks is {value:.4g}"


def _given(array: jax.Array | None) -> jax.Array:
    """What the rule says that it needs."""
    assert array is not None
    return array


def _predictions(seen: Seen) -> tuple[jax.Array, int]:
    """The classes predicted for the stop set [n] int32, and how many classes there are."""
    logits = _given(seen.logits)
    return logits.argmax(-1).astype(jnp.int32), logits.shape[-1]
