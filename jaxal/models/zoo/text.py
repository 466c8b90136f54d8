"""A transformer for short texts."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxal.base import Model, Outputs
from jaxal.checks import check_integer, describe
from jaxal.factories import cached_factory
from jaxal.models.linen import from_linen
from jaxal.models.zoo.layers import Layers, Settings, check_settings


class EncoderBlock(nn.Module):
    """Attention among the tokens of a text and a perceptron of each, both beside a shortcut."""

    layers: Layers
    heads: int

    @nn.compact
    def __call__(self, x: jax.Array, mask: jax.Array) -> jax.Array:
        dense, norm = self.layers.dense, self.layers.layer_norm
        drop = self.layers.drop(self.layers.settings.dropout)
        rows, length, width = x.shape
        split = (rows, length, 3, self.heads, width // self.heads)
        query, key, value = jnp.moveaxis(dense(3 * width)(norm(x)).reshape(split), 2, 0)
        seen = jax.nn.dot_product_attention(query, key, value, mask=mask[:, None, None])
        x = x + drop(dense(width)(seen.reshape(x.shape)))
        return x + drop(dense(width)(nn.gelu(dense(4 * width)(norm(x)))))


class Transformer(nn.Module):
    """See `transformer`."""

    settings: Settings
    vocabulary: int
    width: int
    depth: int
    heads: int

    @nn.compact
    def __call__(self, inputs: jax.Array, *, dropout: bool = False) -> Outputs:
        layers = Layers(self.settings, dropout=dropout)
        mask = _real_tokens(inputs)
        tokens = jnp.minimum(inputs, self.vocabulary - 1)
        embed = nn.Embed(self.vocabulary, self.width, dtype=self.settings.dtype)
        x = embed(jnp.where(mask, tokens, 0)) * jnp.asarray(self.width**0.5, self.settings.dtype)
        x = layers.drop(self.settings.dropout)(x + _positions(mask, self.width).astype(x.dtype))
        block = layers.block(EncoderBlock)
        for i in range(self.depth):
            x = block(layers, self.heads, name=f"block{i}")(x, mask)
        x = jnp.where(mask[..., None], nn.LayerNorm()(x.astype(jnp.float32)), 0)
        count = jnp.maximum(mask.sum(1, keepdims=True), 1).astype(jnp.float32)
        return layers.head(x.sum(1) / count)


@cached_factory
def transformer(
    num_classes: int,
    *,
    vocabulary: int = 10_000,
    width: int = 128,
    depth: int = 2,
    heads: int = 4,
    dropout: float = 0.1,
    dtype: str = "float32",
    remat: bool = False,
) -> Model:
    """A small transformer encoder for texts as token ids.

    Inputs are integers [n, L], of any length; ids of 0 and below are padding, wherever they stand,
    and change nothing. The features are the mean over the tokens, [n, width]. Positions are those
    of the paper, counted without the padding. Normalisation comes before attention and perceptron.

    Args:
      num_classes: C; 1 makes a regression, whose one output is what is predicted.
      vocabulary: ids, that of padding included. Those from `vocabulary` on all count as the last
        one, as an unknown word.
      width: of the embeddings, a multiple of `2 * heads`.
      depth: blocks of attention and perceptron.
      heads: of attention.
      dropout: the probability that a unit is dropped, in [0, 1): after the embedding, attention,
        perceptron and mean.
      dtype: of the computation, "float32" or "bfloat16"; parameters, logits and features are
        float32.
      remat: each block is computed again for the gradient, which takes less memory and a third
        more time.

    Returns:
      A `Model`.

    Raises:
      TypeError: an argument of another kind; or, from the model, inputs that are no integers.
      ValueError: an argument outside its range; or, from the model, inputs of another rank.

    References:
      Vaswani et al., "Attention Is All You Need", NeurIPS 2017; Xiong et al., "On Layer
      Normalization in the Transformer Architecture", ICML 2020.

    Example:
      >>> tokens = jnp.array([[5, 3, 2, 0], [7, 0, 0, 0]])
      >>> model = transformer(3, vocabulary=8, width=16)
      >>> variables = jax.jit(model.init)(jax.random.key(0), tokens)
      >>> jax.jit(model.apply)(variables, tokens).features.shape
      (2, 16)
    """
    settings = check_settings(num_classes, dropout, dtype, remat)
    check_integer(2, vocabulary=vocabulary)
    check_integer(1, width=width, depth=depth, heads=heads)
    if width % (2 * heads):
        raise ValueError(f"width: expected a multiple of 2 * heads = {2 * heads}, got {width}")
    return from_linen(Transformer(settings, vocabulary, width, depth, heads))


def _real_tokens(inputs: jax.Array) -> jax.Array:
    """Which of the ids [n, L] are no padding."""
    if not jnp.issubdtype(inputs.dtype, jnp.integer):
        raise TypeError(
            f"transformer: expected token ids [n, L], integers, got {describe(inputs)}; text is "
            "not standardized"
        )
    if inputs.ndim != 2:
        raise ValueError(f"transformer: expected token ids [n, L], got {inputs.shape}")
    return inputs > 0


def _positions(mask: jax.Array, width: int) -> jax.Array:
    """Sines and cosines of each token's position, [n, L, width]; the padding is not counted."""
    position = jnp.cumsum(mask, axis=1).astype(jnp.float32) - 1
    rates = 1e-4 ** jnp.linspace(0, 1, width // 2, endpoint=False, dtype=jnp.float32)
    angles = position[..., None] * rates[None, None]
    return jnp.concatenate([jnp.sin(angles), jnp.cos(angles)], axis=-1)
