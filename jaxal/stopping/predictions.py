"""Rules over the predictions for a fixed set of examples, whose labels nobody needs."""

import jax
import jax.numpy as jnp

from jaxal import entry
from jaxal.checks import check_rows
from jaxal.scores import entropy


@entry.checked(first=entry.integers, second=entry.integers, num_classes=entry.integer(2))
def cohen_kappa(first: jax.Array, second: jax.Array, *, num_classes: int) -> jax.Array:
    """Cohen's kappa of two predictions: how much more they agree than chance would have it.

    `(p_o - p_e) / (1 - p_e)`: p_o is the share of rows on which they agree, p_e what it would be if
    the same classes were dealt out at random. Equal predictions have 1, of one class only too.

    Args:
      first: [n] classes.
      second: [n] classes.
      num_classes: C.

    Returns:
      [] from -1 to 1.

    Raises:
      TypeError: if the predictions are not integers.
      ValueError: if they disagree in length, or there are fewer than two classes.

    Example:

    >>> float(cohen_kappa(jnp.array([0, 0, 1, 1]), jnp.array([0, 1, 1, 1]), num_classes=2))
    0.5
    """
    check_rows(first=first, second=second)
    first, second = jnp.asarray(first), jnp.asarray(second)
    agree = jnp.mean(first == second, dtype=jnp.float32)
    counts = [jnp.bincount(one, length=num_classes) for one in (first, second)]
    shares = [count.astype(jnp.float32) / len(first) for count in counts]
    chance = jnp.sum(shares[0] * shares[1])
    # Where chance alone gives 1, both are of one class, and agree.
    undefined = (agree == 1) | (chance == 1)
    return jnp.where(undefined, 1.0, (agree - chance) / jnp.where(undefined, 1, 1 - chance))


@entry.checked(
    predictions=entry.integer_matrix("[R, n]"),
    num_classes=entry.integer(2),
    window=entry.integer(1),
    threshold=entry.finite,
)
def stabilizing_predictions(
    predictions: jax.Array, *, num_classes: int, window: int = 3, threshold: float = 0.99
) -> jax.Array:
    """Stops when the predictions of consecutive rounds agree: by the mean of the last kappas.

    Args:
      predictions: [R, n], the classes of the same examples after each of R rounds; some 2,000, as
        fewer seem to agree too soon.
      num_classes: C.
      window: how many kappas of consecutive rounds are averaged.
      threshold: from which mean on to stop.

    Returns:
      [R] bool, whether to stop after each round; False while there are fewer kappas.

    Raises:
      TypeError, ValueError: if an argument is of another type, rank or range.

    References:
      Bloodgood and Vijay-Shanker, "A method for stopping active learning based on stabilizing
      predictions and the need for user-adjustable stopping", CoNLL 2009, section 3.
    """
    predictions = jnp.asarray(predictions)
    rounds = len(predictions)
    if rounds <= window:
        return jnp.zeros(rounds, bool)
    kappas = jax.vmap(lambda *pair: cohen_kappa(*pair, num_classes=num_classes))(
        predictions[:-1], predictions[1:]
    )
    last = jnp.stack([kappas[start : rounds - window + start] for start in range(window)])
    return jnp.concatenate([jnp.zeros(window, bool), last.mean(0) >= threshold])


@entry.checked(predictions=entry.integer_matrix("[R, n]"), threshold=entry.finite)
def classification_change(predictions: jax.Array, *, threshold: float = 0.0) -> jax.Array:
    """Stops when hardly any prediction differs from the round before.

    Args:
      predictions: [R, n], the classes of the same examples after each of R rounds.
      threshold: up to which share of changed predictions to stop.

    Returns:
      [R] bool, whether to stop after each round; False after the first.

    Raises:
      TypeError, ValueError: if an argument is of another type or rank.

    References:
      Zhu et al., "Multi-criteria-based strategy to stop active learning for data annotation",
      COLING 2008, section 3.3.
    """
    predictions = jnp.asarray(predictions)
    changed = jnp.mean(predictions[1:] != predictions[:-1], axis=-1)
    return jnp.concatenate([jnp.zeros(min(len(predictions), 1), bool), changed <= threshold])


@entry.checked(logits=entry.matrix("[R, n, C]"), threshold=entry.finite)
def overall_uncertainty(logits: jax.Array, *, threshold: float = 0.05) -> jax.Array:
    """Stops when the model is sure of nearly all examples, whether it is right or not.

    Args:
      logits: [R, n, C], logits or log-probabilities of the same examples after each of R rounds.
      threshold: below which mean of entropy / log C to stop.

    Returns:
      [R] bool, whether to stop after each round.

    Raises:
      TypeError, ValueError: if an argument is of another type, rank or range.

    References:
      Zhu et al., "Multi-criteria-based strategy to stop active learning for data annotation",
      COLING 2008, section 3.2.
    """
    return jnp.mean(entropy(logits), axis=-1) / jnp.log(float(logits.shape[-1])) < threshold
