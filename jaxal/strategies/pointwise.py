"""Strategies that score one example at a time by a single prediction, and the random baseline."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxal import scores, selection
from jaxal.base import Strategy, prepared
from jaxal.checks import check_at_least, check_integer, check_positive
from jaxal.points.losses import Loss, check_loss
from jaxal.scores import Perturbation
from jaxal.strategies.registry import register
from jaxal.strategies.scoring import TopScores


def by_score(score: Callable[[jax.Array], jax.Array], *, nonnegative: bool = True) -> Strategy:
    """The strategy that selects the top scores of single predictions.

    Args:
      score: maps logits [n, C] to scores [n], higher is queried first.
      nonnegative: whether scores are at least 0, as `stochastic(kind="power")` needs.

    Returns:
      A `Strategy`.
    """

    def observe(key, model, variables, inputs, labels):
        return score(model.apply(variables, inputs).logits)

    rule = TopScores(nonnegative=nonnegative, uses_key=False)
    return Strategy(observe, rule, reads_labels=False)


@register
def entropy() -> Strategy:
    """Entropy sampling: the largest entropy of the predicted distribution.

    References:
      Shannon 1948; Settles, "Active learning literature survey", 2009, section 3.1.
    """
    return by_score(scores.entropy)


@register
def least_confidence() -> Strategy:
    """Least confidence: the smallest probability of the likeliest class.

    References:
      Lewis and Gale, "A sequential algorithm for training text classifiers", SIGIR 1994.
    """
    return by_score(scores.least_confidence)


@register
def margin() -> Strategy:
    """Margin sampling: the smallest difference between the two likeliest classes' probabilities.

    References:
      Scheffer et al., "Active hidden Markov models for information extraction", IDA 2001.
    """
    return by_score(scores.margin, nonnegative=False)


@register
def random() -> Strategy:
    """Random sampling, uniform over the available examples; the model is not run."""

    def observe(key, model, variables, inputs, labels):
        return jnp.zeros((*labels.shape, 0))

    def select(key, view, budget):
        # The draw of a row does not depend on how many rows there are, so padding changes nothing.
        noise = jax.random.uniform(key, view.available.shape)
        return selection.take_top(noise, view.available, budget)

    return Strategy(observe, select, reads_labels=False, regresses=True)


def _least_moved(attack: Callable[..., Perturbation], **options: Any) -> Strategy:
    """The strategy that queries the shortest moves; what an attack cannot move comes last."""

    def observe(key, model, variables, inputs, labels):
        def logits(inputs):
            return model.apply(variables, inputs).logits

        floats = prepared(model, inputs)
        for leaf in jax.tree.leaves(floats):
            if not jnp.issubdtype(leaf.dtype, jnp.floating):
                raise TypeError(
                    f"inputs: expected floating point, got {leaf.dtype}: what is no number, as a "
                    "token, cannot be moved; models.normalized makes floats of numbers"
                )
        return scores.perturbation_score(attack(logits, floats, **options))

    rule = TopScores(nonnegative=False, uses_key=False)
    return Strategy(observe, rule, reads_labels=False)


@register
def adversarial_bim(
    *, epsilon: float = 0.05, max_steps: int = 1000, loss: Loss | None = None
) -> Strategy:
    """Adversarial BIM: the smallest change by signed gradient steps that flips the prediction.

    Examples that no step can flip come last. See `scores.basic_iterative` for the attack.

    Args:
      epsilon: size of a step in each coordinate of the input.
      max_steps: most steps an example may take; each costs a forward and a backward pass.
      loss: climbed in place of the cross-entropy, (logits [n, C], labels [n]) -> [n].

    Raises:
      TypeError: a number of steps that is no integer, or a loss that is no function; when it
        observes, inputs that are not floating point, and of which the model makes none
        (`models.normalized`).
      ValueError: a number out of range; when it observes, inputs of more than one array.

    References:
      Kurakin et al., "Adversarial examples in the physical world", 2017.
    """
    check_positive(epsilon=epsilon)
    check_integer(1, max_steps=max_steps)
    check_loss("loss", loss)
    return _least_moved(scores.basic_iterative, epsilon=epsilon, max_steps=max_steps, loss=loss)


@register
def adversarial_deepfool(
    *, max_steps: int = 50, overshoot: float = 0.02, num_classes: int | None = None
) -> Strategy:
    """Adversarial DeepFool: the smallest change by steps to the linearised decision boundary.

    Examples that no step can flip come last. See `scores.deep_fool` for the attack.

    Args:
      max_steps: most steps an example may take; each costs a forward pass and `num_classes - 1`
        backward passes.
      overshoot: how far beyond the linear boundary to go, as a fraction of the way.
      num_classes: steps go towards these many classes, the likeliest; None for all.

    Raises:
      TypeError: a number of steps that is no integer; when it observes, inputs that are not
        floating point, and of which the model makes none (`models.normalized`).
      ValueError: a number out of range; when it observes, inputs of more than one array.

    References:
      Ducoffe and Precioso, "Adversarial active learning for deep networks: a margin based
      approach", 2018; Moosavi-Dezfooli et al., "DeepFool", CVPR 2016.
    """
    check_integer(1, max_steps=max_steps)
    check_at_least(0, overshoot=overshoot)
    if num_classes is not None:
        check_integer(2, num_classes=num_classes)
    return _least_moved(
        scores.deep_fool,
        max_steps=max_steps,
        overshoot=overshoot,
        num_classes=num_classes,
    )
