"""The plan of an experiment, and its examples checked and placed."""

from jax.sharding import Mesh

from jaxal.experiment.build import Parts
from jaxal.experiment.keys import renamed
from jaxal.experiment.scenario import initial_rows
from jaxal.experiment.settings import Config
from jaxal.loop.plan import Plan, Prepared, example_sets, make_plan, prepare
from jaxal.loop.sources import as_streamed
from jaxal.pools import Directory
from jaxal.stopping.watch import needs


def planned(config: Config, parts: Parts, mesh: Mesh | None) -> tuple[Plan, Prepared]:
    """Makes the plan, and puts the examples on the devices; a pool on disk stays there.

    Args:
      config: the settings.
      parts: what `build` made of them.
      mesh: devices that share the pool's rows; one if not given.

    Raises:
      ValueError, TypeError: as of `loop.plan.prepare`.
    """
    asked = config.strategy
    plan, rows = make_plan(
        initial_rows(asked, parts.pool, parts.learner.model),
        asked.budget,
        asked.rounds,
        balanced=asked.balanced or asked.seed_set == "balanced",
        batch_size=config.run.batch_size,
        skip_unlabeled=bool(config.scenario.ood_classes),
    )
    sets = example_sets(parts.query, parts.private, parts.validation)
    pool, on_disk = parts.pool, isinstance(parts.pool.inputs, Directory)
    keys = {"initial": "strategy.seed_set" if asked.seed_set else "strategy.initial"}
    with renamed(**keys, **({"pool": "data.source"} if on_disk else {})):
        if on_disk:
            pool = as_streamed(pool, mesh, plan.batch_size)
        prepared = prepare(
            parts.learner,
            pool,
            parts.test,
            plan,
            sets,
            mesh,
            labeled_only=on_disk,  # rows that are held out have no label
            initial_rows=rows,
            stop_set=config.stop.rows if needs(parts.stop, "stop_set") else None,
        )
    return plan, prepared
