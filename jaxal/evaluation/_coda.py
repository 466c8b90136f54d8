"""CODA: which of several trained models is best, and which row's label would tell most about it."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxal import entry
from jaxal.checks import check_rows
from jaxal.evaluation._values import check_classes, check_not_negative
from jaxal.numerics import as_floats, matmul
from jaxal.rows import in_tiles

_POINTS = 512  # of the grid on which the laws of the accuracies are integrated
_SPREADS = 8.0  # standard deviations of these laws that the grid reaches past their means
_TILE = 1 << 14  # rows at a time: 32 MiB of values on the grid
_SMALLEST = 1e-30


class Coda(NamedTuple):
    """What is known of the models, and what labels would add."""

    p_best: jax.Array  # [K], the probability that each model is the best
    gain: jax.Array  # [N], the expected information of a row's label about which is, in nats


@entry.checked(
    probabilities=entry.matrix("[K, N, C]"), strength=entry.positive, multiplier=entry.positive
)
def coda_prior(
    probabilities: jax.Array, *, strength: float = 0.1, multiplier: float = 2.0
) -> jax.Array:
    """The concentration of each model's confusion matrix before any label, from the consensus.

    `multiplier (B + strength S)`: B is 1 on the diagonal and 1 / (C - 1) off it; row c of S is the
    mean prediction on the rows whose mean over the models is highest for class c, zeros if there
    are none.

    Args:
      probabilities: [K, N, C], of K models.
      strength: of what the consensus says.
      multiplier: of all; the larger, the more labels it takes to say otherwise.

    Returns:
      [K, C, C], by true class and predicted class, above 0.

    Raises:
      ValueError: if there are fewer than two models or classes, no row, a probability below 0 or
        NaN, or a number not above 0.

    References:
      Kay et al., "Consensus-driven active model selection", ICCV 2025, section 3.3.
    """
    probabilities = _checked(probabilities)
    classes = probabilities.shape[-1]
    consensus = jax.nn.one_hot(probabilities.mean(0).argmax(-1), classes, dtype=probabilities.dtype)
    sums = matmul(consensus.T, probabilities)  # [K, C, C]
    total = sums.sum(-1, keepdims=True)
    likely = jnp.where(total > 0, sums / jnp.where(total > 0, total, 1), 0)
    right = jnp.eye(classes, dtype=probabilities.dtype)
    base = right + (1 - right) / (classes - 1)
    return multiplier * (base[None] + strength * likely)


@entry.checked(probabilities=entry.matrix("[K, N, C]"), concentration=entry.matrix("[K, C, C]"))
def coda(probabilities: jax.Array, concentration: jax.Array) -> Coda:
    """Which model is best, and what the label of each row would tell about it.

    The accuracy of model k on class c has the law Beta(a, b), a the diagonal entry and b the rest
    of row c of its concentration. A model is best in a class with the probability that its accuracy
    is the highest, and overall with the mean of these over the classes, as the models predict that
    they occur. The gain is that of the entropy of this in expectation over the label. Label the row
    of highest gain (`selection.take_top`), then `coda_update`.

    Time O(N C K G) in matrix products, with a grid of G = 512 points of the log-odds, where these
    laws are smooth however sharp they are; memory O(n G) for n = 16,384 rows at a time.

    Args:
      probabilities: [K, N, C], of K models.
      concentration: [K, C, C], from `coda_prior` and `coda_update`.

    Returns:
      `Coda`. For a row on which all models agree the gain is about 0, but not exactly.

    Raises:
      ValueError: if shapes disagree, there are fewer than two models or classes, no row, or an
        entry below 0 or NaN.

    References:
      Kay et al., "Consensus-driven active model selection", ICCV 2025, sections 3.2 and 3.4.
    """
    probabilities = _checked(probabilities)
    models, _, classes = probabilities.shape
    if concentration.shape != (models, classes, classes):
        raise ValueError(
            f"concentration: expected shape {(models, classes, classes)}, to go with "
            f"probabilities {probabilities.shape}, got {concentration.shape}"
        )
    check_not_negative(concentration=concentration)
    return _coda(probabilities, as_floats(concentration).astype(probabilities.dtype))


@entry.checked(
    concentration=entry.matrix("[K, C, C]"), predictions=entry.integers, rate=entry.positive
)
def coda_update(
    concentration: jax.Array, predictions: jax.Array, label: int | jax.Array, *, rate: float = 0.01
) -> jax.Array:
    """The concentration after a row's label is known: `[k, label, predictions_k]` grows by `rate`.

    Args:
      concentration: [K, C, C].
      predictions: [K] integers, what each model predicts for the row.
      label: its class, from 0 to C - 1.
      rate: what a label counts.

    Returns:
      [K, C, C].

    Raises:
      ValueError: if shapes disagree, or a class is outside [0, C).

    Example:

    >>> coda_update(jnp.ones((2, 2, 2)), jnp.array([0, 1]), 1, rate=1.0)[:, 1].tolist()
    [[2.0, 1.0], [1.0, 2.0]]
    """
    check_rows(concentration=concentration, predictions=predictions)
    classes = concentration.shape[-1]
    check_classes(classes, predictions=predictions, label=label)
    models = jnp.arange(len(predictions))
    return jnp.asarray(concentration).at[models, label, predictions].add(rate)


class _Laws(NamedTuple):
    """Laws of the accuracies on a class: as they are, and after one more prediction of it.

    Leaves [3, K, G]: as they are, after a right prediction, after a wrong one.
    """

    log_cdf: jax.Array
    ratio: jax.Array  # of a point's mass to the distribution function there


@jax.jit
def _coda(probabilities: jax.Array, concentration: jax.Array) -> Coda:
    likely = jnp.einsum(
        "kcs,kns->nc", concentration, probabilities, precision=jax.lax.Precision.HIGHEST
    )
    labels = likely / likely.sum(-1, keepdims=True)  # the law of each row's label, [N, C]
    share = labels.mean(0)
    laws = jax.vmap(_laws, in_axes=(0, 0))(*_counts(concentration))
    best = jax.vmap(_best)(laws.log_cdf[:, 0].sum(1), laws.ratio[:, 0])  # [C, K]
    p_best = matmul(share, best)
    predicted = probabilities.argmax(-1).T  # [N, K]
    shared = (laws, share, best, p_best)
    after = in_tiles(_entropies_after, (labels, predicted), _TILE, *shared)
    return Coda(p_best, _entropy(p_best) - after)


def _checked(probabilities: jax.Array) -> jax.Array:
    models, rows, classes = probabilities.shape
    if models < 2 or classes < 2 or not rows:
        raise ValueError(
            "probabilities: expected those of 2 models or more, at least one row and 2 classes or "
            f"more, got shape {probabilities.shape}"
        )
    check_not_negative(probabilities=probabilities)
    return as_floats(probabilities)


def _counts(concentration: jax.Array) -> tuple[jax.Array, jax.Array]:
    """a and b of the laws, each [C, K]."""
    right = jnp.diagonal(concentration, axis1=1, axis2=2).T
    off = 1 - jnp.eye(concentration.shape[-1], dtype=concentration.dtype)
    return right, (concentration * off[None]).sum(-1).T  # no difference of large sums


def _laws(right: jax.Array, wrong: jax.Array) -> _Laws:
    """Of one class, from a [K] and b [K]."""
    a = jnp.stack([right, right + 1, right])
    b = jnp.stack([wrong, wrong, wrong + 1])
    a, b = jnp.maximum(a, _SMALLEST), jnp.maximum(b, _SMALLEST)
    mean = jax.scipy.special.digamma(a) - jax.scipy.special.digamma(b)
    spread = jnp.sqrt(jax.scipy.special.polygamma(1, a) + jax.scipy.special.polygamma(1, b))
    low, high = jnp.min(mean - _SPREADS * spread), jnp.max(mean + _SPREADS * spread)
    odds = jnp.linspace(low, high, _POINTS)[None, None, :]
    # The density of the log-odds t is x^a (1 - x)^b up to a constant, with x = sigmoid(t).
    log_mass = a[..., None] * jax.nn.log_sigmoid(odds) + b[..., None] * jax.nn.log_sigmoid(-odds)
    mass = jax.nn.softmax(log_mass, axis=-1)
    # Each point has its mass around it: half of it is below.
    cdf = jnp.maximum(jnp.cumsum(mass, axis=-1) - mass / 2, _SMALLEST)
    return _Laws(jnp.log(cdf), mass / cdf)


def _best(log_product: jax.Array, ratio: jax.Array) -> jax.Array:
    """Each model's probability to be the best, [K], from products over all [G] and ratios [K, G].

    The mass of model k times the distribution functions of the others is that of all, times k's
    ratio.
    """
    chance = matmul(ratio, jnp.exp(log_product))
    return chance / chance.sum()


def _entropies_after(
    rows: tuple[jax.Array, jax.Array],
    laws: _Laws,
    share: jax.Array,
    best: jax.Array,
    p_best: jax.Array,
) -> jax.Array:
    """The entropy of which model is best once a row's label is known, in expectation; [n]."""
    labels, predicted = rows

    def add(number: jax.Array, total: jax.Array) -> jax.Array:
        hit = (predicted == number).astype(labels.dtype)  # [n, K]
        (_, right, wrong), (_, if_right, if_wrong) = laws.log_cdf[number], laws.ratio[number]
        # Differences are summed up, so that rows cost a product and not an array [n, K, G].
        product = jnp.exp(wrong.sum(0)[None] + matmul(hit, right - wrong))  # [n, G]
        chance = hit * matmul(product, if_right.T) + (1 - hit) * matmul(product, if_wrong.T)
        chance = chance / chance.sum(-1, keepdims=True)
        after = p_best[None] + share[number] * (chance - best[number][None])
        return total + labels[:, number] * _entropy(after)

    return jax.lax.fori_loop(0, labels.shape[1], add, jnp.zeros_like(labels[:, 0]))


def _entropy(law: jax.Array) -> jax.Array:
    """In nats, over the last axis; what rounding makes negative is 0."""
    return jax.scipy.special.entr(jnp.maximum(law, 0)).sum(-1)
