"""The features of an experiment's examples, written to a pool on disk."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import jax
import numpy as np

from jaxal import entry, pools, processes
from jaxal.base import Examples, Model, PyTree
from jaxal.experiment.build import Parts, build
from jaxal.experiment.planned import planned
from jaxal.experiment.settings import Config
from jaxal.imports import imported
from jaxal.loop.identity import digest
from jaxal.loop.simulation import begin
from jaxal.loop.streamed import round_of
from jaxal.pools import Directory
from jaxal.pools.directory.embedding import own_shards
from jaxal.pools.directory.writer import SHARD_ROWS


@entry.checked(encoder=entry.text, test=entry.flag, shard_rows=entry.integer(1))
def embed(
    config: Config,
    out: Path,
    *,
    encoder: str | None = None,
    test: bool = False,
    shard_rows: int = SHARD_ROWS,
    begun: Callable[[int], Callable[[int], None]] | None = None,
) -> Directory:
    """Writes the features of an experiment's pool, with its labels, to a pool on disk.

    They are those of the config's model, fitted as before the first round, to the initial rows of
    the first seed; or what an encoder returns. Called again after whatever ended it, it goes on
    with the first file that is not finished. Several processes share the files, as of
    `pools.embed`, and each fits the model for itself.

    Args:
      config: says which data, model and initial rows.
      out: the folder.
      encoder: "module:function", which makes features [n, ...] of a batch of inputs [n, ...], each
        row by itself; modules are looked for in the working directory too.
      test: the rows that are tested on, in place of the pool's.
      shard_rows: rows of a file.
      begun: is called with the number of rows that this process encodes; what it returns is told
        how many are done, now and then.

    Returns:
      The pool, opened.

    Raises:
      ValueError, TypeError, OSError: as of `run` before its first round and of `pools.embed`; an
        encoder that is not there.
    """
    with processes.agreed():
        encode = None if encoder is None else imported("encoder", encoder)
        parts = build(config)
    rows = parts.test if test else parts.pool
    own = sum(map(len, own_shards(len(rows.labels), shard_rows).values()))
    about = {"name": encoder or f"{config.name}: {config.model.name or config.model.factory}"}
    if encode is None:
        with processes.agreed():
            variables = _fitted(config, parts)
        model = parts.learner.model
        encode = partial(jax.jit(partial(_features, model)), variables)
        about["revision"] = digest(variables)
    about["rows"] = _digest(rows)
    return pools.embed(
        encode,
        rows.inputs,
        out,
        labels=np.asarray(rows.labels),
        batch_size=config.run.batch_size,
        shard_rows=shard_rows,
        about=about,
        advance=None if begun is None else begun(own),
    )


def _features(model: Model, variables: PyTree, inputs: PyTree) -> jax.Array:
    return model.apply(variables, inputs).features


def _fitted(config: Config, parts: Parts) -> PyTree:
    """The variables of the model, fitted to the initial rows of the first seed."""
    plan, prepared = planned(config, parts, None)
    key = jax.random.split(jax.random.key(config.seed), config.seeds)[0]
    strategy = next(iter(parts.strategies.values()))
    stages = round_of(prepared.pool, parts.learner, strategy, plan.budget)
    start = jax.jit(begin, static_argnames=("learner", "plan"))
    state = start(key, parts.learner, prepared, plan)
    return stages.fit(state, prepared.pool, prepared.sets)[0].variables


def _digest(rows: Examples) -> str:
    """A SHA-256 of inputs and labels."""
    if isinstance(rows.inputs, Directory):
        return rows.inputs.digest
    return digest(tuple(rows))
