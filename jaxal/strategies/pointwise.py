"""Strategies that score one example at a time by a single prediction, and the random baseline."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxal import scores, selection
from jaxal.base import Strategy
from jaxal.checks import check_at_least, check_integer, check_positive
from jaxal.scores import Perturbation
from jaxal.strategies.registry import register
from jaxal.strategies.scoring import TopScores


def by_score(score: Callable[[jax.Array], jax.Array], *, nonnegative: bool = True) -> Strategy:
    """The strategy that queries the highest scores; `score` maps logits [n, C] to [n]."""

    def observe(key, model, variables, inputs, labels):
        return score(model.apply(variables, inputs).logits)

    return Strategy(observe, TopScores(nonnegative=nonnegative))


@register
def entropy() -> Strategy:
    """Queries where the predicted distribution has the most entropy.

    References:
      Shannon 1948; Settles, "Active learning literature survey", 2009, section 3.1.
    """
    return by_score(scores.entropy)


@register
def least_confidence() -> Strategy:
    """Queries where the most likely class is least likely.

    References:
      Lewis and Gale, "A sequential algorithm for training text classifiers", SIGIR 1994.
    """
    return by_score(scores.least_confidence)


@register
def margin() -> Strategy:
    """Queries where the two most likely classes are closest.

    References:
      Scheffer et al., "Active hidden Markov models for information extraction", IDA 2001.
    """
    return by_score(scores.margin, nonnegative=False)


@register
def random() -> Strategy:
    """Queries uniformly at random, without a look at the model."""

    def observe(key, model, variables, inputs, labels):
        return jnp.zeros((*labels.shape, 0))

    def select(key, view, budget):
        # The draw of a row does not depend on how many rows there are, so padding changes nothing.
        noise = jax.random.uniform(key, view.available.shape)
        return selection.take_top(noise, view.available, budget)

    return Strategy(observe, select)


def _least_moved(attack: Callable[..., Perturbation], **options: Any) -> Strategy:
    """The strategy that queries the shortest moves; what an attack cannot move comes last."""

    def observe(key, model, variables, inputs, labels):
        def logits(inputs):
            return model.apply(variables, inputs).logits

        return scores.perturbation_score(attack(logits, inputs, **options))

    return Strategy(observe, TopScores(nonnegative=False))


@register
def adversarial_bim(*, epsilon: float = 0.05, max_steps: int = 1000) -> Strategy:
    """Queries what the fewest signed gradient steps up the loss turn into another class.

    References:
      Kurakin et al., "Adversarial examples in the physical world", 2017.
    """
    check_positive(epsilon=epsilon)
    check_integer(1, max_steps=max_steps)
    return _least_moved(scores.basic_iterative, epsilon=epsilon, max_steps=max_steps)


@register
def adversarial_deepfool(
    *, max_steps: int = 50, overshoot: float = 0.02, num_classes: int | None = None
) -> Strategy:
    """Queries what the shortest steps to the linearised boundary turn into another class.

    Steps go towards the `num_classes` likeliest classes; None for all.

    References:
      Ducoffe and Precioso, "Adversarial active learning for deep networks: a margin based
      approach", 2018; Moosavi-Dezfooli et al., "DeepFool", CVPR 2016.
    """
    check_integer(1, max_steps=max_steps)
    check_at_least(0, overshoot=overshoot)
    return _least_moved(
        scores.deep_fool,
        max_steps=max_steps,
        overshoot=overshoot,
        num_classes=num_classes,
    )
