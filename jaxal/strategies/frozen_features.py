"""Cheap strategies that are strong on features of a fixed model: a score first, then its spread."""

import jax
import jax.numpy as jnp

from jaxal import scores, selection
from jaxal.base import Strategy
from jaxal.checks import check_at_least, check_integer, check_positive
from jaxal.greedy.take import fill
from jaxal.numerics import group_means, matmul
from jaxal.posterior import Draws, Posterior, mc_dropout
from jaxal.selection._candidates import one_a_cluster
from jaxal.selection._drop_query import of_disagreement
from jaxal.strategies.coverage import observe_uncertainty
from jaxal.strategies.registry import register

_DROPOUT = mc_dropout(3)
REFINEMENTS = 4  # solutions of a least-squares problem, each of what the one before left


@register
def cluster_margin(*, num_clusters: int = 20, oversampling: float = 10.0) -> Strategy:
    """Cluster-Margin: rows of least margin, in turn from clusters, the smallest clusters first.

    Clusters are those of k-means on the features of what is available, each row with the picked
    center nearest to it: O(N D num_clusters) a step of at most 50. See `selection.cluster_margin`
    for the rule.

    Args:
      num_clusters: of k-means, at most the rows of the pool.
      oversampling: rows of least margin that take part, for each that is queried, at least 1.

    Raises:
      TypeError: a number of another type.
      ValueError: one that is out of range.

    References:
      Citovsky et al., "Batch active learning at scale", NeurIPS 2021.
    """
    check_integer(1, num_clusters=num_clusters)
    check_at_least(1, oversampling=oversampling)

    def observe(key, model, variables, inputs, labels):
        outputs = model.apply(variables, inputs)
        return scores.margin(outputs.logits), outputs.features

    def select(key, view, budget):
        score, features = view.observation
        number = min(num_clusters, len(score))
        centers = selection.k_means(key, features, view.available, number, restarts=1, max_steps=50)
        # Of rows without a center none is a candidate.
        clusters = jnp.maximum(selection.nearest_pick(centers, features), 0)
        return selection.cluster_margin(
            score,
            clusters,
            view.available,
            budget,
            num_candidates=int(oversampling * budget),
        )

    return Strategy(observe, select, reads_labels=False)


@register
def gist(*, uncertainty: str = "margin", trade_off: float = 1.0, epsilon: float = 0.1) -> Strategy:
    """GIST: uncertain examples that keep a distance from each other, with a knob between the two.

    Maximises the mean uncertainty of the batch plus `trade_off` times the least distance of two of
    its examples, on features divided by their lengths. A batch that is best left smaller is filled
    up by uncertainty. See `selection.gist` for the cost.

    Args:
      uncertainty: "margin" (1 less the lead of the likeliest class), "entropy" or
        "least_confidence".
      trade_off: what a unit of distance is worth, at least 0.
      epsilon: by which factor, less 1, the distances that are tried differ; above 0, at most 2.

    Raises:
      TypeError: a number of another type.
      ValueError: one that is out of range, or an unknown uncertainty.

    References:
      Fahrbach et al., "GIST: greedy independent set thresholding for max-min diversification with
      submodular utility", NeurIPS 2025.
    """
    check_at_least(0, trade_off=trade_off)
    check_positive(epsilon=epsilon)
    if epsilon > 2:
        raise ValueError(f"epsilon: expected a number above 0 and at most 2, got {epsilon!r}")

    def select(key, view, budget):
        features, utilities = view.observation
        chosen = selection.gist(
            features,
            utilities,
            view.available,
            budget,
            trade_off=trade_off * budget,
            epsilon=epsilon,
        )
        count = jnp.sum(chosen.rows >= 0, dtype=jnp.int32)
        filled = fill(chosen, count, utilities, view.available)
        return filled._replace(scores=jnp.where(filled.rows >= 0, utilities[filled.rows], -jnp.inf))

    return Strategy(observe_uncertainty(uncertainty), select, reads_labels=False)


@register
def falcun(*, gamma: float = 10.0) -> Strategy:
    """FALCUN: examples of small margin whose predictions differ, drawn one after the other.

    It looks at predictions alone, which need not be of a network with features. See
    `selection.falcun` for the rule and the cost.

    Args:
      gamma: at least 0; 0 draws uniformly, and the larger it is, the greedier.

    Raises:
      TypeError: a gamma that is no number.
      ValueError: one below 0.

    References:
      Gilhuber et al., "FALCUN: a simple and efficient deep active learning strategy", ECML 2024.
    """
    check_at_least(0, gamma=gamma)

    def observe(key, model, variables, inputs, labels):
        return model.apply(variables, inputs).logits

    def select(key, view, budget):
        return selection.falcun(key, view.observation, view.available, budget, gamma=gamma)

    return Strategy(observe, select, reads_labels=False)


@register
def drop_query(*, posterior: Posterior = _DROPOUT) -> Strategy:
    """DropQuery: one example of each cluster of those whose class changes under dropout.

    Three dropout masks by default; the paper drops three quarters of the features that go into a
    linear model (`models.linear` with dropout 0.75). See `selection.drop_query` for the rule and
    the cost.

    Args:
      posterior: where the draws come from, as for `bald`.

    Raises:
      TypeError: not a posterior.
      ValueError: an unknown posterior or option of one.

    References:
      Gupte et al., "Revisiting active learning in the era of vision foundation models", TMLR 2024.
    """

    def classes(draws: Draws) -> jax.Array:
        """The class that each draw predicts, [n, K]."""
        return jax.lax.map(lambda one: jnp.argmax(draws.logits(one), axis=-1), draws.each).T

    def observe(key, model, variables, inputs, labels):
        outputs = model.apply(variables, inputs)
        drawn = posterior.observe(key, model, variables, inputs, classes)
        return drawn, jnp.argmax(outputs.logits, axis=-1), outputs.features

    def select(key, view, budget):
        key_draws, key_rule = posterior.split(key)
        seen, predicted, features = view.observation
        drawn = posterior.resolve(key_draws, view._replace(observation=seen), classes).observation
        score = jnp.sum(drawn != predicted[:, None], axis=1, dtype=features.dtype)
        return of_disagreement(key_rule, score, drawn.shape[1], features, view.available, budget)

    return Strategy(observe, select, posterior.waits)


@register
def alfa_mix(*, epsilon: float = 0.2) -> Strategy:
    """ALFA-Mix: one example of each cluster of those whose class a hint of another class changes.

    Mixed are the features of the last layer with the mean of each class's labelled features, in the
    closed form of `scores.alfa_mix`. The last layer is the linear map, by least squares, from the
    features to the logits: the layer itself where the features are its input. Where there are
    fewer candidates than picks, all of them, and others at random. O(N D^2 + N C^2 D), and k-means
    of the candidates, O(N B D) a step.

    Args:
      epsilon: how far to mix, as a share of the distance to the mean, above 0.

    Raises:
      TypeError: an epsilon that is no number.
      ValueError: one that is not above 0.

    References:
      Parvaneh et al., "Active learning by feature mixing", CVPR 2022.
    """
    check_positive(epsilon=epsilon)

    def observe(key, model, variables, inputs, labels):
        return model.apply(variables, inputs)

    def select(key, view, budget):
        logits, features = view.observation
        classes = logits.shape[1]
        known = view.labeled & jnp.all(jnp.isfinite(features), axis=1)
        anchors, count = group_means(features, jnp.where(known, view.labels, classes), classes)
        weights, bias = linear_map(features, logits, view.available | view.labeled)
        found = scores.alfa_mix(
            lambda features: matmul(features.astype(weights.dtype), weights) + bias,
            features,
            anchors,
            epsilon=epsilon,
            anchor_mask=count > 0,
        )
        return one_a_cluster(key, features, found > 0, view.available, budget)

    return Strategy(observe, select)


def linear_map(
    features: jax.Array, logits: jax.Array, counted: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Weights [D, C] and bias [1, C] of the linear map nearest to the logits, by least squares.

    Args:
      features: [N, D].
      logits: [N, C].
      counted: [N] bool, the rows to fit.
    """
    finite = jnp.all(jnp.isfinite(features), axis=1) & jnp.all(jnp.isfinite(logits), axis=1)
    mask = (counted & finite)[:, None]
    total = jnp.maximum(jnp.sum(mask, dtype=jnp.int32), 1).astype(features.dtype)

    def centre(rows: jax.Array) -> tuple[jax.Array, jax.Array]:
        mean = jnp.sum(jnp.where(mask, rows, 0.0), axis=0, keepdims=True) / total
        return mean, jnp.where(mask, rows - mean, 0.0)

    (mean, inputs), (bias, outputs) = centre(features), centre(logits)
    gram = matmul(inputs.T, inputs)
    # Directions that the rows hardly have get no weight: nothing is known of them.
    ridge = 16.0 * jnp.finfo(gram.dtype).eps * jnp.trace(gram) + jnp.finfo(gram.dtype).tiny
    root, lower = jax.scipy.linalg.cho_factor(gram + ridge * jnp.eye(len(gram)).astype(gram.dtype))

    def refine(_, weights: jax.Array) -> jax.Array:
        # Of what is left: rounding, and the ridge, would otherwise decide rows near a boundary.
        left = outputs - matmul(inputs, weights)
        return weights + jax.scipy.linalg.cho_solve((root, lower), matmul(inputs.T, left))

    start = jnp.zeros_like(inputs, shape=(inputs.shape[1], outputs.shape[1]))
    weights = jax.lax.fori_loop(0, REFINEMENTS, refine, start)
    return weights, bias - matmul(mean, weights)
