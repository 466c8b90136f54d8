"""Monte Carlo dropout: each draw is the model under one set of dropout masks."""

import jax
import jax.numpy as jnp

from jaxal.base import Model, PyTree
from jaxal.checks import check_integer
from jaxal.factories import cached_factory
from jaxal.numerics import derive_keys, first
from jaxal.posterior.draws import Draws, Posterior


@cached_factory
def mc_dropout(num_draws: int = 20, *, consistent: bool = False) -> Posterior:
    """Monte Carlo dropout: forward passes with dropout on and running statistics fixed.

    The masks of an example depend on the key and on nothing else in its batch: neither batch size,
    nor devices, nor the order of the pool change a score.

    Args:
      num_draws: K forward passes.
      consistent: one set of masks a draw for all examples, so that draw k is one network: what a
        joint score (BatchBALD, EPIG) needs. Otherwise each example has masks of its own, told apart
        by a hash of its contents: exact copies share them, and so do about N^2 / 2^33 other pairs.

    Returns:
      A `Posterior`. Equal calls return the identical one.

    Raises:
      ValueError: K below 1; or, from `observe`, a model without dropout.

    References:
      Gal and Ghahramani, "Dropout as a Bayesian approximation", ICML 2016; consistent masks: Kirsch
      et al., "BatchBALD", NeurIPS 2019, section 3.

    Example:
      >>> mc_dropout(40, consistent=True)
      mc_dropout(40, consistent=True)
    """
    check_integer(1, num_draws=num_draws)

    def observe(key, model, variables, inputs, reduce):
        check_dropout(model, variables, inputs)
        # `observe` is told no row numbers, so that the order of the pool changes nothing: what an
        # example holds tells its masks from the others'.
        own = None if consistent else fingerprint(inputs)

        def logits(key):
            def one(example, mask_key):
                batch = jax.tree.map(lambda leaf: leaf[None], example)
                return model.apply(variables, batch, key=mask_key).logits[0]

            if own is None:
                return jax.vmap(one, (0, None))(inputs, key)
            return jax.vmap(one)(inputs, derive_keys(key, own))

        # Masks are drawn row by row even where all share them: a layer may draw one for its batch.
        # Hashed, so that no draw of one example has the key of another draw of another.
        draws = mix(jnp.arange(1, num_draws + 1, dtype=jnp.uint32))
        return reduce(Draws(logits, derive_keys(key, draws)))

    return Posterior(
        observe,
        consistent=consistent,
        name=f"mc_dropout({num_draws}, consistent={consistent})",
    )


def check_dropout(model: Model, variables: PyTree, inputs: PyTree) -> None:
    """Raises ValueError, while tracing, if the model's logits do not depend on the key.

    Args:
      model: whose `apply` takes a key.
      variables: the model's.
      inputs: leaves [n, ...]; the first example is looked at.
    """
    one, depends = first(inputs), []

    @jax.custom_batching.custom_vmap
    def probe(logits):
        return logits

    @probe.def_vmap
    def _(axis_size, in_batched, logits):
        depends.append(in_batched[0])
        return logits, in_batched[0]

    def logits(key):
        return probe(model.apply(variables, one, key=key).logits)

    # Under vmap over keys, the logits are batched only if they depend on the key.
    keys = jax.eval_shape(lambda: jax.random.split(jax.random.key(0)))
    jax.eval_shape(jax.vmap(logits), keys)
    if any(depends):
        return
    raise ValueError(
        "mc_dropout: the model has no dropout, so all draws would be equal; give it some, or "
        "take last_layer_laplace or deep_ensemble"
    )


def fingerprint(inputs: PyTree) -> jax.Array:
    """A hash of each example's contents.

    Args:
      inputs: leaves [n, ...]; floats are hashed in float32.

    Returns:
      [n] uint32.
    """
    total = jnp.uint32(0)
    for leaf in jax.tree.leaves(inputs):
        if jnp.issubdtype(leaf.dtype, jnp.floating):
            leaf = jax.lax.bitcast_convert_type(leaf.astype(jnp.float32), jnp.uint32)
        words = leaf.astype(jnp.uint32).reshape(len(leaf), -1)
        place = mix(jnp.arange(words.shape[1], dtype=jnp.uint32))
        total = mix(total + jnp.sum(mix(words + place[None]), axis=1, dtype=jnp.uint32))
    return total


def mix(word: jax.Array) -> jax.Array:
    """The finalizer of MurmurHash3, [...] uint32: a changed bit changes about half of the result's.

    Args:
      word: [...] uint32.

    Returns:
      [...] uint32; different words have different results.
    """
    word = (word ^ (word >> 16)) * jnp.uint32(0x85EBCA6B)
    word = (word ^ (word >> 13)) * jnp.uint32(0xC2B2AE35)
    return word ^ (word >> 16)
