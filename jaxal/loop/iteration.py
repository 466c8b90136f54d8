"""The rounds of an experiment one by one, on the host; with checkpoints, from where they ended."""

import contextlib
from collections.abc import Generator
from pathlib import Path
from typing import Any, NamedTuple

import jax
from jax.sharding import Mesh

from jaxal import processes
from jaxal.base import Strategy
from jaxal.checks import check_key, is_integer
from jaxal.loop.checked import check_loss, check_strategies
from jaxal.loop.checkpoint import Checkpoints, claimed_together
from jaxal.loop.copied import rule_of
from jaxal.loop.identity import digest, digest_program, versions
from jaxal.loop.plan import ExampleSets, Plan, example_sets, make_plan, prepare
from jaxal.loop.returned import check_strategy, strategy_name
from jaxal.loop.round import RoundInfo, make_round, run_round
from jaxal.loop.simulation import begin, run_rounds
from jaxal.loop.sources import as_streamed
from jaxal.loop.state import State
from jaxal.loop.stop_set import stop_set_of
from jaxal.loop.streamed import round_of
from jaxal.pools import StreamedPool, devices
from jaxal.stopping.rules import Rule
from jaxal.stopping.watch import as_rules
from jaxal.training import AnyLearner
from jaxal.training.base import fits_on_host


def iterate(
    key: jax.Array,
    learner: AnyLearner,
    strategy: Strategy,
    pool: Any,
    test: Any,
    *,
    initial: Any,
    budget: int,
    rounds: int,
    balanced: bool = False,
    query: Any = None,
    private: Any = None,
    validation: Any = None,
    labeled_only: bool = False,
    skip_unlabeled: bool = False,
    stop: Any = None,
    stop_set: Any = None,
    batch_size: int = 1024,
    mesh: Mesh | None = None,
    checkpoint: str | Path | None = None,
) -> Generator[tuple[State, RoundInfo], None, None]:
    """The rounds of `simulate` one by one, on the host: the same stages, the same picks.

    Args:
      key: random key; it stays in the state.
      learner: the model and how it is fitted each round.
      strategy: the rule.
      pool: `Examples` or `(inputs, labels)`, inputs a pytree of arrays [N, ...], all labels known.
        Memory maps, a pool on disk (`pools.open`) with labels, or a pool from `pools.stream`, with
        its mesh and batch size, are read block by block in each round.
      test: the same, to measure on.
      initial: rows drawn at random and labelled before the first round; {class: count} draws so
        many of each class, and rows [n] are these themselves, the same for every key.
      budget: B, rows labelled a round.
      rounds: how often a batch is selected; models are fitted `rounds + 1` times.
      balanced: draw as many initial rows of each class, as nearly as can be.
      query: `(inputs, labels)` of examples like those wanted, for strategies that take them.
      private: the same, of examples like those to avoid, their labels -1 if they are of no class;
        or rows of the pool that change with the rounds: "labeled", those with labels, or "found",
        those that were picked and skipped.
      validation: the same, held-out examples; also for a learner with `patience`.
      labeled_only: leave out the rows of the pool whose label is -1, unknown, in place of refusing
        them; the others keep their numbers.
      skip_unlabeled: keep them instead, as rows that are out of distribution. One that is picked
        costs one of the budget, is not trained on and not picked again (`State.skipped`, as an
        answer of -1 in `tell`). `data.scenarios.out_of_distribution` makes such a pool.
      stop: when to stop before that: a rule or several, of `jaxal.stopping.rule` or by name. The
        first that holds ends the loop after a round, before a batch is labelled.
      stop_set: what rules over predictions look at: inputs, leaves [n, ...], or how many rows of
        the pool, 2,000 if not given; drawn once, the same for every key.
      batch_size: rows that go through the model at once on a device.
      mesh: devices that share the pool's rows; also those of several processes, which all call
        this with the same arguments. The first of them writes and reads the checkpoints, and reads
        all of the pool for what these are known by.
      checkpoint: a folder, made if need be and held while the rounds go on. A round is finished
        when the next is asked for; then its state is saved. Called again with equal arguments,
        after whatever ended it, `iterate` goes on with the first round that is not finished. Of a
        fit on the host alone the code is not compared, nor are all rows of a pool that is read: its
        manifest is, or else a thousand rows. Saving takes some 20 ms and the time to
        write the variables.

    Yields:
      The state after each round and its report, `rounds + 1` times, or until a rule of `stop`
      holds: then `info.stopped` says which, and `jaxal.stopping.reason` why. With `checkpoint` only
      of the rounds that are not finished, so nothing after the last. All are bit for bit those of a
      loop that was never broken off. The round that was dealt with when the process ended comes
      again; `info.labels` tells which it is.

    Raises:
      ValueError, TypeError: as `simulate`, but a learner may fit on the host; a strategy that
        returns rows twice, rows that are not available, or none while some are. Says in which round
        and which strategy.
      FloatingPointError: the training loss, the variables or what the strategy observes are not
        finite; says in which round.
      ValueError, with `checkpoint`: it was left by other arguments or versions; says what differs.
      OSError: another process uses the folder of `checkpoint`, or it cannot be written to.
    """
    check_key(key)
    check_strategy(strategy)
    options = {"balanced": balanced, "batch_size": batch_size, "skip_unlabeled": skip_unlabeled}
    plan, initial_rows = make_plan(initial, budget, rounds, **options)
    sets, rules = example_sets(query, private, validation), as_rules(stop)
    pool = as_streamed(pool, mesh, batch_size)
    rest = {"labeled_only": labeled_only, "initial_rows": initial_rows}
    rest["stop_set"] = stop_set_of(rules, stop_set, sets.validation)
    prepared = prepare(learner, pool, test, plan, sets, mesh, **rest)
    name = strategy_name(strategy)
    check_strategies(learner, {name: strategy}, prepared, plan)
    stages = round_of(prepared.pool, learner, strategy, budget, rules)
    together = devices.is_shared(mesh)
    devices.check_same(mesh, key=key, strategy=name, checkpoint=checkpoint is not None)
    devices.check_same(mesh, stop=repr(rules))
    placed = devices.replicate(key, mesh) if together else key
    with contextlib.ExitStack() as held:
        held.enter_context(processes.loss_explained())
        first, state, saved = 0, _begin(placed, learner, prepared, plan, rules), None
        if checkpoint is not None:
            held.enter_context(claimed_together(Path(checkpoint), together))
            arguments = _Arguments(learner, strategy, plan, rules, rest)
            saved = _checkpoints(Path(checkpoint), arguments, key, pool, test, sets, mesh)
            first, state = saved.newest(state) or (first, state)
        rounds_left = run_rounds(stages, state, prepared, plan, name, first=first)
        for number, (state, info) in enumerate(rounds_left, first):
            check_loss(info.train.loss, number)
            state, info = processes.whole((state, info))
            yield state, info
            if saved is not None:
                saved.save(number, state, number + 1)


_begin = jax.jit(begin, static_argnames=("learner", "plan", "stop"))


class _Arguments(NamedTuple):
    """What `iterate` does, as opposed to what it does it to."""

    learner: AnyLearner
    strategy: Strategy
    plan: Plan
    stop: tuple[Rule, ...]
    rest: dict[str, Any]  # of what `prepare` takes


def _checkpoints(
    folder: Path,
    arguments: _Arguments,
    key: jax.Array,
    pool: Any,
    test: Any,
    sets: ExampleSets,
    mesh: Mesh | None,
) -> Checkpoints:
    """The checkpoints of a loop in a folder that it holds."""
    # All of the pool is read: by the first process, unless they have a share each.
    identity = processes.from_first(
        lambda: _identity(arguments, key, pool, test, sets),
        devices.is_on_hosts((pool, test, sets), mesh),
    )
    return Checkpoints(folder, identity, together=devices.is_shared(mesh))


def _identity(
    arguments: _Arguments, key: jax.Array, pool: Any, test: Any, sets: ExampleSets
) -> dict[str, Any]:
    """What has to be equal for a loop to go on; the devices do not."""
    learner, strategy, plan, stop, rest = arguments

    def whole(key, pool, test, sets):
        prepared = prepare(learner, pool, test, plan, sets, **rest)
        state = begin(key, learner, prepared, plan, stop)
        stages = make_round(learner, strategy, plan.budget, stop)
        if not fits_on_host(learner):
            return run_round(stages, plan.budget, state, *prepared[:3], True)
        # A fit in Python cannot be traced: what it does is not known.
        observed = stages.observe(state, prepared.pool, prepared.sets)
        return stages.select(state, prepared.pool, observed)

    examples = {"pool": pool, "test": test, **sets.given()}
    digests = {
        f"{name} (SHA-256)": given.digest()
        if isinstance(given, StreamedPool)
        else digest(tuple(given))
        for name, given in examples.items()
    }
    if stop:
        given = rest["stop_set"]
        digests["stop"] = f"{stop} {given if is_integer(given) else digest(given)}"
    rule = rule_of(strategy)
    if rule is not None and isinstance(pool, StreamedPool):
        digests["precision"] = rule.precision
    if isinstance(pool, StreamedPool):  # traced as the same pool in memory
        outline = pool.outline()
        pool = outline.inputs, outline.labels
    return {
        **versions(),
        **plan._asdict(),
        "per_class": [list(pair) for pair in plan.per_class],  # as JSON has it
        "key": digest(key),
        **digests,
        "learner and strategy (SHA-256)": digest_program(whole, key, pool, test, sets),
    }
