"""What the machine reaches at most: a matrix product and a copy, by NumPy, JAX and PyTorch."""

import time
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

SIDE = 1024  # of the matrices
NUMBERS = 1 << 24  # that are copied, 64 MiB of float32
REPEATS = 20


def measure() -> dict[str, dict[str, float]]:
    """FLOP/s of a product of float32 and bytes/s read and written by a copy, of each package."""
    found = {}
    for name, make in (("numpy", _numpy), ("jax", _jax), ("torch", _torch)):
        try:
            product, copy = make()
        except ImportError:
            continue
        found[name] = {
            "flops": 2 * SIDE**3 / _least(product),
            "bytes_per_second": 8 * NUMBERS / _least(copy),
        }
    return found


def _least(call: Callable[[], Any]) -> float:
    return min(_seconds(call))


def _seconds(call: Callable[[], Any]) -> Iterator[float]:
    call()
    for _ in range(REPEATS):
        start = time.perf_counter()
        call()
        yield time.perf_counter() - start


def _numpy() -> tuple[Callable, Callable]:
    import numpy as np

    matrix, long = np.ones((SIDE, SIDE), np.float32), np.ones(NUMBERS, np.float32)
    into, copied = np.empty_like(matrix), np.empty_like(long)
    return lambda: np.matmul(matrix, matrix, out=into), lambda: np.copyto(copied, long)


def _jax() -> tuple[Callable, Callable]:
    import jax
    import jax.numpy as jnp

    matrix, long = jnp.ones((SIDE, SIDE), jnp.float32), jnp.ones(NUMBERS, jnp.float32)
    product = jax.jit(lambda a: jnp.matmul(a, a, precision="highest"))
    copy = jax.jit(lambda a: a + 1)
    return (
        lambda: jax.block_until_ready(product(matrix)),
        lambda: jax.block_until_ready(copy(long)),
    )


def _torch() -> tuple[Callable, Callable]:
    torch = import_module("torch")
    matrix, long = torch.ones((SIDE, SIDE)), torch.ones(NUMBERS)
    into, copied = torch.empty_like(matrix), torch.empty_like(long)
    return lambda: torch.mm(matrix, matrix, out=into), lambda: copied.copy_(long)
