"""Strategies by the Fisher information and the spread of last-layer gradients: BAIT and LCMD."""

from jaxal import selection
from jaxal.base import Strategy
from jaxal.checks import check_integer, check_name, check_positive
from jaxal.points.fisher import CLASS_FISHERS
from jaxal.points.losses import Loss
from jaxal.posterior.laplace import with_one
from jaxal.strategies.registry import register
from jaxal.strategies.set_functions import represent


@register
def bait(*, fisher: str = "binary", ridge: float = 1.0) -> Strategy:
    """BAIT: the batch that leaves the least of the pool's Fisher information unknown.

    Greedy picks of twice the batch by the trace of the last layer's inverse information times that
    of the pool, of which half are taken away again. In a regression the information of a row is
    h h^T, h = [features, 1], that of a Gaussian likelihood, whatever its form here. See
    `selection.bait` for the cost.

    Args:
      fisher: "binary", the information of the likeliest class against all others, of rank one; or
        "full", of all classes, which holds matrices of [C D, C D] and is for few classes.
      ridge: added to the information of what is labelled, above 0.

    Raises:
      TypeError: a ridge that is no number.
      ValueError: one that is not above 0, or an unknown form.

    References:
      Ash et al., "Gone fishing: neural active learning with Fisher embeddings", NeurIPS 2021;
      Huseljic et al., "Fast Fishing: approximating BAIT for efficient and scalable deep active
      image classification", ECML 2024.
    """
    check_name("fisher", fisher, CLASS_FISHERS)
    check_positive(ridge=ridge)

    def observe(key, model, variables, inputs, labels):
        return model.apply(variables, inputs)

    def select(key, view, budget):
        logits, features = view.observation
        regression = logits.shape[1] == 1
        return selection.bait(
            logits,
            with_one(features) if regression else features,
            view.available,
            budget,
            labeled=view.labeled,
            fisher="gaussian" if regression else fisher,
            ridge=ridge,
        )

    return Strategy(observe, select, regresses=True)


@register
def lcmd(
    *,
    representation: str = "features",
    sketch: int | None = None,
    loss: Loss | None = None,
) -> Strategy:
    """LCMD: the farthest example of the cluster with most to represent, around all labelled ones.

    Labelled and selected examples are centers; a pick is of the cluster whose squared distances add
    up to the most. Of a regression, distances of features are those of the gradients of what the
    last layer predicts. See `selection.lcmd` for the cost.

    Args:
      representation: "features", the only one in a regression, or last-layer gradients for the
        predicted class (for the label, where it is known) in the "bias", the "linear" weights, or
        both, "bias_linear".
      sketch: the points are replaced by so many random projections (512 in the paper), anew each
        round, which is cheaper where classes times features are many more; None: distances are
        exact.
      loss: whose gradients represent rows, (logits [n, C], labels [n]) -> [n]; the cross-entropy if
        None.

    Raises:
      TypeError: a loss that is no function, a sketch that is no integer.
      ValueError: an unknown representation, a sketch below 1; when it observes, gradients in a
        regression.

    References:
      Holzmüller et al., "A framework and benchmark for deep batch active learning for regression",
      JMLR 2023.
    """

    if sketch is not None:
        check_integer(1, sketch=sketch)

    def select(key, view, budget):
        points = view.observation
        if sketch is not None:
            points = selection.random_projection(key, points, sketch)
        return selection.lcmd(points, view.available, budget, labeled=view.labeled)

    return Strategy(represent(representation, loss), select, regresses=True)
