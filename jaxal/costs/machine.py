"""What a device can do at most, given or measured here in about a second."""

import functools
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxal.checks import check_at_least, check_positive, describe
from jaxal.numerics import matmul

SIDE = 1024  # of the matrices multiplied
WIDE = 1 << 23  # numbers that no cache holds
MIDDLE = 1 << 20  # numbers that the last cache does
CACHE = 12e6  # bytes of it that a core has for itself, or nearly
NEAR = 1 << 15  # numbers that any cache holds
FEW = 1 << 10  # numbers that a kernel takes no time for
MOVES = 4  # passes over them
CHAIN = 16  # operations on each
STEPS = 2000  # of a loop that does next to nothing
OPTIONAL = ("vector", "link", "near")  # guessed from the others if None


class Prices(NamedTuple):
    """What costs more than the addition of two long vectors does a number, in such additions.

    As given, those of an accelerator, which does all of it to many numbers at a time.
    """

    dear: float = 8.0  # an exponential, a root, a quotient
    light: float = 1.0  # a comparison, a choice
    summed: float = 1.0  # a number of a sum
    first: float = 2.0  # a number among which the largest is looked for, with its place
    ranked: float = 30.0  # a number among which some of the largest are
    compared: float = 4.0  # a comparison of a sort
    looked_up: float = 1.0  # a row
    written: float = 4.0  # a row at a place that is looked up
    thin: float = 0.0  # a product with a side of so many is half as fast as a square one


SERIAL = Prices(25.0, 0.3, 8.0, 500.0, 260.0, 1000.0, 100.0, 1500.0, 30.0)
"""Those of XLA on a CPU, as measured: much of it is done to one number after the other."""


class Machine(NamedTuple):
    """The peaks of one device, as its data sheet has them or as `measured`.

    >>> h100 = Machine(flops=50e12, bandwidth=3.3e12, launch=4e-6, link=450e9)
    """

    flops: float  # of float32 products at full precision, a second
    bandwidth: float  # bytes of memory read or written, a second
    launch: float  # seconds that a kernel takes if it has nothing to do
    vector: float | None = None  # other operations on numbers, a second; flops / 8 if None
    link: float | None = None  # bytes sent to other devices, a second; bandwidth / 10 if None
    cache: float = 0.0  # bytes that a kernel finds near at hand; none on accelerators
    near: float | None = None  # bytes of these, a second; 4 times the bandwidth if None
    prices: Prices = Prices()

    @property
    def operations(self) -> float:
        """Operations a second that are no products."""
        return self.flops / 8 if self.vector is None else self.vector

    def moving(self, moved: float) -> float:
        """Seconds in which one kernel reads and writes so many bytes."""
        if not self.cache:
            return moved / self.bandwidth
        near = 4 * self.bandwidth if self.near is None else self.near
        return moved / near + max(moved - self.cache, 0.0) / self.bandwidth

    @property
    def sent(self) -> float:
        """Bytes sent a second."""
        return self.bandwidth / 10 if self.link is None else self.link


def check_machine(name: str, machine: Any) -> None:
    """Raises unless it is a `Machine` of numbers above 0."""
    if not isinstance(machine, Machine):
        raise TypeError(f"{name}: expected a Machine, got {describe(machine)}")
    if not isinstance(machine.prices, Prices):
        raise TypeError(f"{name}.prices: expected Prices, got {describe(machine.prices)}")
    for field, value in {**machine._asdict(), **machine.prices._asdict()}.items():
        if field == "cache" or field in Prices._fields:
            check_at_least(0.0, **{f"{name}.{field}": value})
        elif field != "prices" and (field not in OPTIONAL or value is not None):
            check_positive(**{f"{name}.{field}": value})


@functools.cache
def measured() -> Machine:
    """The first local device, measured once in a process."""
    return measure()


def measure(clock: Callable[[], float] = time.perf_counter) -> Machine:
    """Measures the first local device, in about a second.

    Args:
      clock: seconds so far; `time.process_time` on a machine that others use as well.
    """
    device = jax.local_devices()[0]
    seconds = functools.partial(_seconds, clock)
    with jax.default_device(device):
        product = seconds(lambda x: matmul(x, x), jnp.ones((SIDE, SIDE), jnp.float32))
        far, near = (seconds(_moves, jnp.ones(size, jnp.float32)) for size in (WIDE, MIDDLE))
        chain = seconds(_chain, jnp.ones(NEAR, jnp.float32))
        loop = seconds(_loop, jnp.ones(FEW, jnp.float32))
    return Machine(
        flops=2.0 * SIDE**3 / product,
        bandwidth=8.0 * WIDE * MOVES / far,
        launch=loop / (2 * STEPS),
        cache=CACHE if device.platform == "cpu" else 0.0,
        near=8.0 * MIDDLE * MOVES / near,
        vector=float(NEAR * CHAIN * CHAIN) / chain,
        prices=SERIAL if device.platform == "cpu" else Prices(),
    )


def _moves(x: jax.Array) -> jax.Array:
    """Reads and writes all: in place, as fresh memory would be found first."""
    return jax.lax.fori_loop(0, MOVES, lambda _, x: x + 1.0, x)


def _chain(x: jax.Array) -> jax.Array:
    def step(_: jax.Array, x: jax.Array) -> jax.Array:
        return functools.reduce(lambda x, _: x * 0.5 + 1.0, range(CHAIN // 2), x)

    return jax.lax.fori_loop(0, CHAIN, step, x)


def _loop(x: jax.Array) -> jax.Array:
    """Two kernels a step: the sum is needed before the next."""
    return jax.lax.fori_loop(0, STEPS, lambda _, x: x / jnp.sum(x), x)


def _seconds(
    clock: Callable[[], float], function: Callable[[jax.Array], jax.Array], x: jax.Array
) -> float:
    """The least of some runs, compiled before."""
    compiled = jax.jit(function).lower(x).compile()
    jax.block_until_ready(compiled(x))
    least = float("inf")
    for _ in range(5):
        start = clock()
        jax.block_until_ready(compiled(x))
        least = min(least, clock() - start)
    return least
