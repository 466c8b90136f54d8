"""The stages of a round over all seeds: compiled side by side, and timed."""

import time
from collections.abc import Callable
from concurrent.futures import Executor, Future
from functools import partial
from typing import Any, NamedTuple, Protocol

import jax
from jax.sharding import Mesh

from jaxal.base import Strategy
from jaxal.loop import round
from jaxal.loop.plan import Prepared
from jaxal.loop.state import State
from jaxal.loop.streamed import streamed_round
from jaxal.pools import devices
from jaxal.stopping.rules import Rule
from jaxal.training import AnyLearner

COMPILING = (
    "/jax/core/compile/jaxpr_to_mlir_module_duration",
    "/jax/core/compile/backend_compile_duration",
)
"""What JAX tells of compiling, after tracing."""


class Timed(Protocol):
    """A stage that tells how long it ran, and how long was compiled before."""

    seconds: float
    compile_seconds: float

    def __call__(self, *args: Any) -> Any:
        """Runs it."""
        ...


class HostStage:
    """A function of the host, which reads, and compiles what it has not compiled yet."""

    def __init__(self, function: Callable):
        self._function = function
        self.seconds = 0.0
        self.compile_seconds = 0.0

    def __call__(self, *args: Any) -> Any:
        start, compiling = time.perf_counter(), []

        def heard(event: str, duration_secs: float, **about: Any) -> None:
            if event in COMPILING:
                compiling.append(duration_secs)

        jax.monitoring.register_event_duration_secs_listener(heard)
        try:
            result = jax.block_until_ready(self._function(*args))
        finally:
            jax.monitoring.unregister_event_duration_listener(heard)
        self.compile_seconds = sum(compiling)
        self.seconds = time.perf_counter() - start - self.compile_seconds
        return result


class Stage:
    """A compiled function that tells how long it ran, and how long its compilation took before."""

    def __init__(self, function: Callable):
        self._jitted = jax.jit(function)
        self._compilation: Future | None = None
        self._compiled: Any = None
        self.seconds = 0.0
        self.compile_seconds = 0.0

    def expect(self, executor: Executor, *args: Any) -> Any:
        """Traces for such arguments and lets `executor` compile; returns the results' shapes."""
        traced = self._jitted.trace(*args)
        self._compilation = executor.submit(_compile, traced.lower)
        return traced.out_info

    def __call__(self, *args: Any) -> Any:
        self.compile_seconds = 0.0
        if self._compiled is None:
            if self._compilation is not None:
                compilation = self._compilation.result()
            else:
                compilation = _compile(partial(self._jitted.lower, *args))
            self._compiled, self.compile_seconds = compilation
        start = time.perf_counter()
        result = jax.block_until_ready(self._compiled(*args))
        self.seconds = time.perf_counter() - start
        return result


def _compile(lower: Callable[[], Any]) -> tuple[Any, float]:
    start = time.perf_counter()
    compiled = lower().compile()
    return compiled, time.perf_counter() - start


class Stages(NamedTuple):
    """The stages of one strategy's rounds; the first two and the last serve every strategy."""

    fit: Any
    measure: Any
    observe: Any
    select: Any
    watch: Any = None

    def timed(self, *, selects: bool) -> list[Timed]:
        """The stages whose times a record has; a last round selects nothing."""
        return [self.fit, self.observe, self.select] if selects else [self.fit]


def make_stages(
    learner: AnyLearner,
    strategies: dict[str, Strategy],
    budget: int,
    stop: tuple[Rule, ...] = (),
    *,
    mesh: Mesh | None = None,
) -> dict[str, Stages]:
    """The stages of each strategy's rounds, vmapped over seeds.

    Args:
      learner: the model and how it is fitted.
      strategies: by name.
      budget: B.
      stop: stopping rules.
      mesh: devices that share the seeds. A compiled stage takes states that are laid out as the
        first was, so `fit` and `select` return such, whatever the compiler would choose.
    """

    def laid_out(result: tuple[State, Any]) -> tuple[State, Any]:
        return devices.share_seeds(result[0], mesh), result[1]

    fitting = jax.vmap(partial(round.fit, learner=learner), (0, None, None))
    fit = Stage(lambda *args: laid_out(fitting(*args)))
    measure = Stage(jax.vmap(partial(round.measure, learner=learner), (0, None, None, 0)))

    watch = None
    if stop:
        watching = jax.vmap(partial(round.watch, learner=learner, stop=stop), (0, None, None, 0))
        watch = Stage(lambda *args: devices.share_seeds(watching(*args), mesh))

    def of(strategy: Strategy) -> Stages:
        observe = partial(round.observe, learner=learner, strategy=strategy)
        select = partial(round.select, strategy=strategy, budget=budget, stop=stop)
        selecting = jax.vmap(select, (0, None, 0))
        return Stages(
            fit,
            measure,
            Stage(jax.vmap(observe, (0, None, None))),
            Stage(lambda *args: laid_out(selecting(*args))),
            watch,
        )

    return {name: of(strategy) for name, strategy in strategies.items()}


def make_streamed_stages(
    learner: AnyLearner,
    strategies: dict[str, Strategy],
    budget: int,
    stop: tuple[Rule, ...] = (),
) -> dict[str, Stages]:
    """The same over a `StreamedPool`, whose rows are read once for all seeds."""

    def of(strategy: Strategy) -> Stages:
        made = streamed_round(learner, strategy, budget, stop, seeds=True)
        return Stages(*(one and HostStage(one) for one in made))

    return {name: of(strategy) for name, strategy in strategies.items()}


def compile_ahead(
    executor: Executor, stages: dict[str, Stages], state: Any, prepared: Prepared
) -> None:
    """Traces all stages, so that a strategy which cannot work says so now, and compiles them.

    Args:
      executor: what compiles; XLA does not hold Python's lock, so threads run side by side.
      stages: from `make_stages`.
      state: of all seeds, or its shapes.
      prepared: the examples, on one device: of several, the shapes alone do not tell the layout.
    """
    pool, test, sets, _ = prepared
    some = next(iter(stages.values()))
    state, fitted = some.fit.expect(executor, state, pool, sets)
    _, tested = some.measure.expect(executor, state, pool, test, fitted)
    if some.watch is not None:
        state = some.watch.expect(executor, state, pool, sets, tested)
    for own in stages.values():
        observed = own.observe.expect(executor, state, pool, sets)
        own.select.expect(executor, state, pool, observed)
