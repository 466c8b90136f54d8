"""Rules that watch a loop: which there are, what they remember, and which of them has held."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxal.base import PyTree
from jaxal.checks import check_name, check_options, describe
from jaxal.stopping.rules import (
    Accuracy,
    Budget,
    ClassificationChange,
    ErrorStability,
    Kappa,
    OverallUncertainty,
    Rule,
    Seen,
    Tolerance,
)

KNOWN: dict[str, Any] = {
    rule.name: rule
    for rule in (
        Accuracy,
        Budget,
        ClassificationChange,
        ErrorStability,
        Kappa,
        OverallUncertainty,
        Tolerance,
    )
}

WITH_CLASSES = (Accuracy, ClassificationChange, ErrorStability, Kappa, OverallUncertainty)


class Stopped(NamedTuple):
    """Whether a loop has stopped, and what its rules compared; under vmap [seeds, ...]."""

    rule: jax.Array  # [] int32, the first rule that held in the round that ended it; -1: none yet
    values: jax.Array  # [R] float32, the number of each rule; infinite where it had none yet


class Watch(NamedTuple):
    """What the rules of a loop remember, and whether one has held."""

    memory: tuple[PyTree, ...]  # of each rule
    stopped: Stopped


def rule(name: str, **options: Any) -> Rule:
    """The stopping rule of that name.

    Args:
      name: one of kappa, classification_change, overall_uncertainty, error_stability, budget,
        accuracy and tolerance.
      **options: the fields of its class.

    Returns:
      The rule, as `simulate`, `iterate` and `jaxal run` take it.

    Raises:
      ValueError: an unknown name or option, a missing one, or one out of range.
      TypeError: an option of another type.

    Example:

    >>> rule("kappa", threshold=0.97)
    Kappa(window=3, threshold=0.97)
    """
    check_name("rule", name, KNOWN)
    check_options("rule", name, KNOWN[name], options)
    for field in dataclasses.fields(KNOWN[name]):
        if field.default is dataclasses.MISSING and field.name not in options:
            expected = field.metadata["expected"]
            raise ValueError(f"rule {name}: {field.name}: missing; expected {expected}")
    return KNOWN[name](**options)


def as_rules(stop: Any) -> tuple[Rule, ...]:
    """The rules of a loop, which are given as one or several, each a rule or its name.

    Raises:
      TypeError: something else.
      ValueError: an unknown name, or no rule.
    """
    if stop is None:
        return ()
    several = isinstance(stop, Sequence) and not isinstance(stop, str)
    rules = tuple(_as_rule(one) for one in (stop if several else [stop]))
    if not rules:
        raise ValueError("stop: expected one rule or more, got none")
    return rules


def _as_rule(given: Any) -> Rule:
    if isinstance(given, str):
        check_name("stop", given, KNOWN)
        return rule(given)
    parts = ("begin", "look", "says")
    if isinstance(given, type | Mapping) or not all(
        callable(getattr(given, part, None)) for part in parts
    ):
        hint = f"; call it: {describe(given)}()" if isinstance(given, type) else ""
        raise TypeError(
            f"stop: expected rules, as jaxal.stopping.rule makes, got {describe(given)}{hint}"
        )
    return given


def needs(rules: Sequence[Rule], what: str) -> bool:
    """Whether any of the rules looks at this: see `Rule.needs`."""
    return any(what in rule.needs for rule in rules)


def check_of_regression(rules: Sequence[Rule]) -> None:
    """Raises ValueError for rules that look at classes."""
    for one in rules:
        if isinstance(one, WITH_CLASSES):
            raise ValueError(f"stop: expected rules without classes, as of a regression, got {one}")


def begin(rules: Sequence[Rule], rows: int, classes: int) -> Watch:
    """Before the first round.

    Args:
      rules: of the loop.
      rows: of the stop set.
      classes: C.
    """
    memory = tuple(rule.begin(rows, classes) for rule in rules)
    values = jnp.full(len(rules), jnp.inf, jnp.float32)
    return Watch(memory, Stopped(jnp.int32(-1), values))


def look(rules: Sequence[Rule], watch: Watch, seen: Seen) -> Watch:
    """After a round: each rule looks at it, unless one has held before.

    Rules that need the scores of the picks look if these are there, and then no other does.
    """
    scored = seen.scores is not None
    memory, values, held = [], [], []
    for number, (rule, own) in enumerate(zip(rules, watch.memory, strict=True)):
        value, holds = watch.stopped.values[number], jnp.array(False)
        if ("scores" in rule.needs) == scored:
            own, value, holds = rule.look(own, seen)
        memory.append(own)
        values.append(value)
        held.append(holds)
    held = jnp.stack(held)
    first = jnp.where(held.any(), jnp.argmax(held), -1).astype(jnp.int32)
    after = Watch(tuple(memory), Stopped(first, jnp.stack(values)))
    return unless_stopped(watch, watch, after)


def unless_stopped(watch: Watch, before: PyTree, after: PyTree) -> PyTree:
    """What came after, or what was before where a rule has held; of one seed."""
    stopped = watch.stopped.rule >= 0
    return jax.tree.map(lambda old, new: jnp.where(stopped, old, new), before, after)


def reason(stop: Any, stopped: Stopped) -> str | None:
    """Why a loop of one seed has stopped, in words; None if it has not.

    Args:
      stop: the rules that the loop was given.
      stopped: `RoundInfo.stopped` of a round.
    """
    number = int(stopped.rule)
    if number < 0:
        return None
    held = as_rules(stop)[number]
    return f"{held.name}: {held.says(float(stopped.values[number]))}"
