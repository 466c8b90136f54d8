"""Convolutions as products: their values and gradients, and which platform has which."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxal.models.zoo.convolution import by_products, convolve

INPUTS = jax.random.normal(jax.random.key(0), (2, 7, 6, 4))
# Size of the kernel, strides, padding, groups, channels out.
CASES = {
    "3x3": ((3, 3), (1, 1), [(1, 1), (1, 1)], 1, 5),
    "stride": ((3, 3), (2, 2), [(1, 1), (1, 1)], 1, 5),
    "1x1": ((1, 1), (2, 2), [(0, 0), (0, 0)], 1, 5),
    "7x7": ((7, 7), (2, 2), [(3, 3), (3, 3)], 1, 3),
    "no padding": ((5, 5), (1, 1), [(0, 0), (0, 0)], 1, 3),
    "one side": ((3, 2), (2, 1), [(2, 0), (0, 1)], 1, 3),
    "channels": ((3, 3), (1, 1), [(1, 1), (1, 1)], 4, 4),
    "channels, stride": ((3, 3), (2, 2), [(1, 1), (1, 1)], 4, 4),
}


@pytest.mark.slow
@pytest.mark.parametrize(("size", "strides", "padding", "groups", "out"), CASES.values(), ids=CASES)
def test_products_are_the_convolution(size, strides, padding, groups, out):
    kernel = jax.random.normal(jax.random.key(1), (*size, INPUTS.shape[-1] // groups, out))

    def slopes(convolution):
        def loss(inputs, kernel):
            x = convolution(inputs, kernel, strides, padding, feature_group_count=groups)
            return jnp.sum(jnp.sin(x)), x

        return jax.jit(jax.grad(loss, (0, 1), has_aux=True))(INPUTS, kernel)

    dimensions = ("NHWC", "HWIO", "NHWC")
    xla = functools.partial(jax.lax.conv_general_dilated, dimension_numbers=dimensions)
    expected = slopes(xla)
    for convolution in (by_products, convolve):
        found = slopes(convolution)
        close = functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-4)
        jax.tree.map(close, found, expected)


def test_products_on_cpus_alone():
    """XLA's own takes twenty times as long on a CPU, inside a loop."""
    kernel = jnp.ones((3, 3, 4, 5))
    given = {"strides": (1, 1), "padding": [(1, 1), (1, 1)]}
    traced = jax.jit(functools.partial(convolve, **given)).trace(INPUTS, kernel)
    for platform, own in (("cpu", False), ("cuda", True), ("tpu", True)):
        text = traced.lower(lowering_platforms=(platform,)).as_text()
        assert ("stablehlo.convolution" in text) == own
        assert ("stablehlo.dot_general" in text) != own
