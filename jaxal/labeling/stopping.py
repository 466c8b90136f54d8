"""When a loop in which people label has labelled enough: rules over what a round found out."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from jaxal import experiment, stopping
from jaxal.experiment.build import make_rules
from jaxal.fields import checked, count

OWN_RULES = {"budget": "labels", "accuracy": "accuracy", "tolerance": "tolerance"}
"""Rules of `jaxal.stopping` that have keys of their own here."""


@dataclass(frozen=True)
class StopConfig(experiment.StopConfig):
    """Rules that end a project; the first that holds does, and none does unless it is set."""

    labels: int | None = count(None)  # So many rows have a label.
    accuracy: float | None = checked(  # The accuracy on the held-out rows is this or more.
        "a number above 0, at most 1", lambda x: 0 < x <= 1, None
    )
    tolerance: float | None = checked(  # The highest score among the picks is below this.
        "a finite number", lambda x: -math.inf < x < math.inf, None
    )


def rules_of(stop: StopConfig) -> tuple[stopping.Rule, ...]:
    """The rules that `[label.stop]` names; raises ValueError or TypeError, by the key."""
    try:
        rules = make_rules(stop)
    except (TypeError, ValueError) as error:
        raise type(error)(f"label.{error}") from error
    for rule in rules:
        if rule.name in OWN_RULES:
            raise ValueError(
                f"label.stop.rule: {rule.name!r} has a key of its own here, "
                f"label.stop.{OWN_RULES[rule.name]}"
            )
    return rules


class Found(NamedTuple):
    """What a round found out."""

    labels: int  # rows that have one
    accuracy: float | None  # on held-out rows, if there are some
    score: float | None  # the highest among the picks; None of those without a model


Rule = Callable[[StopConfig, Found], str | None]
"""Why to stop, or None."""


def enough_labels(stop: StopConfig, found: Found) -> str | None:
    """By the number of labels."""
    if stop.labels is None or found.labels < stop.labels:
        return None
    return f"{found.labels} rows have labels (label.stop.labels = {stop.labels})"


def good_enough(stop: StopConfig, found: Found) -> str | None:
    """By the accuracy on held-out rows."""
    if stop.accuracy is None or found.accuracy is None or found.accuracy < stop.accuracy:
        return None
    return (
        f"the accuracy on held-out rows is {found.accuracy:.3f} "
        f"(label.stop.accuracy = {stop.accuracy})"
    )


def little_to_learn(stop: StopConfig, found: Found) -> str | None:
    """By the scores of what would be asked next."""
    if stop.tolerance is None or found.score is None or not found.score < stop.tolerance:
        return None
    return (
        f"the highest score among the picks is {found.score:.4g} "
        f"(label.stop.tolerance = {stop.tolerance})"
    )


FOUND_RULES: tuple[Rule, ...] = (enough_labels, good_enough, little_to_learn)


def reason_to_stop(stop: StopConfig, found: Found) -> str | None:
    """What the first rule that holds says; None if none does."""
    return next(filter(None, (rule(stop, found) for rule in FOUND_RULES)), None)
