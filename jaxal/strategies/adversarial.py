"""Strategies that query the examples nearest the decision boundary, by how far an attack must move them."""

from collections.abc import Callable
from typing import Any

from jaxal import scores
from jaxal.base import Strategy, check_positive
from jaxal.scores import Perturbation
from jaxal.strategies.registry import register
from jaxal.strategies.scoring import TopScores


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
    check_positive(epsilon=epsilon, max_steps=max_steps)
    return _least_moved(scores.basic_iterative, epsilon=epsilon, max_steps=max_steps)


@register
def adversarial_deepfool(
    *, max_steps: int = 50, overshoot: float = 0.02, num_classes: int | None = None
) -> Strategy:
    """Queries what the shortest steps to the linearised boundary turn into another class.

    Steps go towards the `num_classes` likeliest classes; None for all.

    References:
      Ducoffe and Precioso, "Adversarial active learning for deep networks: a margin based approach",
      2018; Moosavi-Dezfooli et al., "DeepFool", CVPR 2016.
    """
    check_positive(max_steps=max_steps)
    if not overshoot >= 0:
        raise ValueError(f"overshoot: expected a number >= 0, got {overshoot!r}")
    return _least_moved(
        scores.deep_fool,
        max_steps=max_steps,
        overshoot=overshoot,
        num_classes=num_classes,
    )
