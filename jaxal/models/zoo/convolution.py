"""Convolutions as products of matrices, where these are faster."""

import functools
import operator
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

_DIMENSIONS = ("NHWC", "HWIO", "NHWC")


def convolve(
    inputs: jax.Array,
    kernel: jax.Array,
    strides: Sequence[int],
    padding: Sequence[tuple[int, int]],
    *,
    feature_group_count: int = 1,
    **_: Any,
) -> jax.Array:
    """A convolution, by products on CPUs and by XLA's own elsewhere.

    On CPUs XLA's own takes some twenty times as long for a kernel's gradient inside a loop, and a
    fit is a loop. `nn.Conv` takes this function, or `by_products`, as `conv_general_dilated`.

    Args:
      inputs: [n, H, W, channels].
      kernel: [height, width, channels / groups, channels out].
      strides: along H and W.
      padding: zeros before and after, along H and W.
      feature_group_count: groups of channels: 1, or as many as there are channels.

    Returns:
      [n, H', W', channels out].
    """
    whole = functools.partial(
        jax.lax.conv_general_dilated,
        window_strides=strides,
        padding=padding,
        dimension_numbers=_DIMENSIONS,
        feature_group_count=feature_group_count,
    )
    products = functools.partial(
        by_products, strides=strides, padding=padding, feature_group_count=feature_group_count
    )
    return jax.lax.platform_dependent(inputs, kernel, cpu=products, default=whole)


def by_products(
    inputs: jax.Array,
    kernel: jax.Array,
    strides: Sequence[int],
    padding: Sequence[tuple[int, int]],
    *,
    feature_group_count: int = 1,
    **_: Any,
) -> jax.Array:
    """The same by products: of patches with the kernel as a matrix, or of channels with numbers."""
    height, width = kernel.shape[:2]
    inputs = jnp.pad(inputs, ((0, 0), *padding, (0, 0)))
    shifted = [
        _shift(_shift(inputs, i, height, strides[0], axis=1), j, width, strides[1], axis=2)
        for i in range(height)
        for j in range(width)
    ]
    if feature_group_count == 1:
        return jnp.concatenate(shifted, axis=-1) @ kernel.reshape(-1, kernel.shape[-1])
    places = kernel.reshape(height * width, 1, 1, 1, -1)
    return functools.reduce(operator.add, map(operator.mul, shifted, places))


def _shift(inputs: jax.Array, start: int, size: int, stride: int, axis: int) -> jax.Array:
    """What one place of a window of `size` sees along an axis."""
    stop = start + inputs.shape[axis] - size + 1
    return jax.lax.slice_in_dim(inputs, start, stop, stride, axis)
