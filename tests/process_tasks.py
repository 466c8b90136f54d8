"""What `test_processes.py` has processes do: `python process_tasks.py NUMBER COUNT PORT OUT TASKS`.

TASKS is JSON: a list of tasks, each a name and its arguments. Each returns what its process found;
the list of these goes to the file OUT.NUMBER.
"""

import functools
import gc
import json
import math
import os
import pathlib
import sys
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh

import jaxal
from jaxal import experiment, pools, processes, strategies
from jaxal.pools import devices
from jaxal.selection import certified

ROWS, LABELED, BUDGET = 1003, 9, 5
NEEDS = {"smi": ["query"], "scg": ["private"], "scmi": ["query", "private"]}
PLAN: dict[str, Any] = {"initial": 6, "budget": 3, "rounds": 3}
OWN = {1: [0, ROWS], 2: [0, 600, ROWS], 4: [0, 400, 410, 900, ROWS]}  # where each one's rows begin


def is_last():
    return jax.process_index() == jax.process_count() - 1


def data(rows=ROWS, seed=0):
    """Clouds of three classes."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, rows).astype(np.int32)
    centers = np.random.default_rng(99).normal(size=(3, 5)) * 2
    return (centers[labels] + rng.normal(size=(rows, 5))).astype(np.float32), labels


def learner():
    return jaxal.Learner(jaxal.models.logistic(3), optax.sgd(0.1), max_epochs=3)


@functools.cache
def model_and_variables():
    model = jaxal.models.mlp(3, hidden=(8,), dropout=0.3)
    return model, model.init(jax.random.key(3), data()[0][:1])


def acquire(name, mesh, inputs=None, **options):
    given, labels = data()
    sets: dict[str, Any] = {need: (given[:4], labels[:4]) for need in NEEDS.get(name, [])}
    return jaxal.acquire(
        jax.random.key(1),
        strategies.make(name),
        *model_and_variables(),
        given if inputs is None else inputs,
        BUDGET,
        **{"labels": np.where(np.arange(ROWS) < LABELED, labels, -1), "mesh": mesh} | options,
        **sets,
    )


def picks(mesh, names=None):
    """The rows that each strategy picks, and their scores; on one device of each of processes.

    Of more devices each step of a loop is an exchange of many arrays, for which they wait in turn.
    """
    if jax.process_count() > 1:
        own = {one.process_index: one for one in mesh.devices.flat}
        mesh = devices.make_mesh(devices=[*own.values()])
    found = {name: acquire(name, mesh) for name in names or strategies.names()}
    return {name: [one.rows.tolist(), one.scores.tolist()] for name, one in found.items()}


def loop(mesh, folder=None, key=0, fits=None, pool=None, test=None):
    """Rounds on the host: what they pick and reach."""
    rounds = jaxal.iterate(
        jax.random.key(key),
        fits or learner(),
        strategies.margin(),
        pool or data(203),
        test or data(41, seed=1),
        **PLAN,
        mesh=mesh,
        checkpoint=folder,
    )
    for _, info in rounds:
        yield [np.asarray(info.rows).tolist(), float(info.test.accuracy)]


def simulated(mesh):
    """What a simulation picks, of one seed and of two."""
    run = jaxal.simulate(
        learner(), strategies.entropy(), data(203), data(41, seed=1), **PLAN, mesh=mesh
    )
    keys = devices.place_seeds(jax.random.split(jax.random.key(0), 2), mesh)
    several = processes.to_host(jax.vmap(run)(keys)[1].rows)
    return [np.asarray(run(jax.random.key(0))[1].rows).tolist(), several.tolist()]


def asked(mesh):
    """Rounds in which people label; a round that is simulated."""
    inputs, labels = data(203)
    known = np.where(np.arange(203) < 5, labels, -1)
    pool = jaxal.place(inputs, known, mesh)
    state = jaxal.init(jax.random.key(0), learner(), pool, initial=np.arange(5), capacity=8)
    state, asked = jaxal.ask(state, learner(), strategies.margin(), pool, 3)
    answers = labels[np.asarray(asked.rows)]
    answers[0] = -1
    state = jaxal.tell(state, asked.rows, answers)
    state = jaxal.enlarge(state, capacity=12)
    full = jaxal.place(inputs, labels, mesh)
    state, info = jaxal.step(state, learner(), strategies.margin(), full, data(41, seed=1), 3)
    told = [state.rows, state.skipped, info.rows, asked.rows]
    return [np.asarray(one).tolist() for one in told]


def own_rows(mesh, name):
    """Picks from a pool of which each process has rows of its own, as rows of the whole."""
    inputs, labels = data()
    labels = np.where(np.arange(ROWS) < LABELED, labels, -1)
    count = jax.process_count()
    own = slice(*OWN[count][jax.process_index() :][:2])
    pool = jaxal.place(inputs[own], labels[own], mesh, local=True)
    rows = np.asarray(acquire(name, None, pool, labels=None).rows)
    process, row = np.divmod(rows, len(pool) // count)
    return (np.asarray(OWN[count])[process] + row).tolist()


class Watched(np.ndarray):
    """A file's rows, of which it is known which were read; the last one can be read so often."""

    rows: set = set()
    left: float = math.inf

    def __getitem__(self, index):
        if isinstance(index, slice) and self.ndim == 2:
            read = range(len(self))[index]
            Watched.rows |= set(read)
            Watched.left -= len(self) - 1 in read
            if Watched.left < 0:
                raise OSError("the disk is gone")
        return np.asarray(self)[index]


def total(shared, rows):
    return rows.sum(axis=1)


def streamed(mesh):
    """Functions of rows that are read, and exact k-center of compressed ones."""
    inputs, labels = data()
    pool = pools.stream(inputs, None, mesh, batch_size=64)
    totals = processes.to_host(pool.map(total, ()))[:ROWS]
    packed = pools.compress(inputs, mesh)
    picked = certified.k_center(packed, jnp.ones(ROWS, bool), BUDGET, block_size=16)
    rows = np.asarray(pool.take(np.array([5, ROWS - 1])))
    return [totals.tolist(), rows.tolist(), np.asarray(picked.rows).tolist()]


def reads(mesh):
    """Which rows a process reads of a file."""
    inputs, _ = data(8)
    pool = jaxal.place(inputs.view(Watched), None, mesh)
    assert len(pool) == len(inputs)
    return sorted(Watched.rows)


def fitted_on_hosts(mesh, apart=False):
    """Rounds of a learner that fits by NumPy; apart: in the last process to something else."""
    model = jaxal.models.from_functions(
        lambda key, inputs: np.zeros((3, 5), np.float32),
        lambda means, inputs: (-((inputs[:, None] - means[None]) ** 2).sum(-1), inputs),
    )

    def fit(key, variables, inputs, labels, weights, count, validation=None):
        used, known = np.asarray(inputs)[: int(count)], np.asarray(labels)[: int(count)]
        means = [used[known == one].sum(0) / max(1, (known == one).sum()) for one in range(3)]
        info = jaxal.FitInfo(jnp.float32(0), jnp.float32(1), jnp.int32(1))
        return {"params": np.asarray(means, np.float32) + (apart and is_last())}, info

    return [*loop(mesh, fits=jaxal.CustomLearner(model, fit, fit_on_host=True))]


def run(mesh, out, config):
    """An experiment; the files it leaves."""
    experiment.run(experiment.parse(config), pathlib.Path(out))
    return sorted(path.name for path in pathlib.Path(out).iterdir())


def embedded(mesh, folder, config):
    """Features by an encoder that fails in the last process, and then again; those of a model."""
    inputs, labels = data(203)
    seen = []

    def encoder(rows):
        seen.append(rows[0, 0])
        if is_last() and len(seen) == 2:
            raise OSError("the accelerator is gone")
        return 2 * rows

    def embed():
        options = {"labels": labels, "batch_size": 32, "shard_rows": 32}
        return pools.embed(encoder, inputs, f"{folder}/twice", **options)

    try:
        embed()
    except OSError as error:
        failed = str(error)
    started = len(seen)
    pool = embed()  # what is finished is not encoded again
    features = experiment.embed(experiment.parse(config), pathlib.Path(f"{folder}/model"))
    digests = [pool.manifest.digest, embed().manifest.digest, features.manifest.digest]
    return [failed, started, len(seen), digests]


def refused(mesh, out, config):
    """The errors that all processes see where one has bad input, or another than the others."""
    found = {}
    for name, call in (bad_pools(mesh, out) | bad_arguments(mesh, out, config)).items():
        try:
            call()
        except (ValueError, OSError) as error:
            found[name] = f"{type(error).__name__}: {error}"
    return found


def bad_pools(mesh, out):
    last = is_last()
    inputs, labels = data(203)
    flawed, wrong = inputs.copy(), labels.copy()
    flawed[202, 1], wrong[202] = np.nan, -2
    own, half = inputs[:50], inputs[:50].astype(np.float16)
    shorter = labels[:202] if last else labels
    others = [one for one in jax.devices() if one.process_index != jax.process_index()]

    def cached():
        jax.config.update("jax_enable_compilation_cache", True)
        jax.config.update("jax_compilation_cache_dir", out)
        try:
            jaxal.place(inputs, labels, mesh)
        finally:
            jax.config.update("jax_compilation_cache_dir", None)

    def breaks(left):
        Watched.left = left
        return inputs.view(Watched)

    return {
        "values": lambda: jaxal.place(flawed if last else inputs, labels, mesh),
        "labels": lambda: jaxal.place(inputs, wrong, mesh),
        "rows": lambda: jaxal.place(inputs[: len(shorter)], shorter, mesh),
        "own rows": lambda: jaxal.place(flawed[-9:] if last else own, None, mesh, local=True),
        "types": lambda: jaxal.place(half if last else own, None, mesh, local=True),
        "another's": lambda: jaxal.place(inputs, labels, devices.make_mesh(devices=others)),
        "seeds": lambda: jaxal.place(own, None, devices.make_mesh(seeds=2), local=True),
        "file": lambda: pools.stream(breaks(0), None, mesh, batch_size=16).map(total, ()),
        "placed": lambda: jaxal.place(breaks(1), labels, mesh),
        "cache": cached,
    }


def bad_arguments(mesh, out, config):
    number = int(is_last())
    pool, test = data(203), data(41, seed=1)
    state = jaxal.init(
        jax.random.key(0), learner(), jaxal.place(*pool, mesh), initial=0, capacity=8
    )
    simulation = jaxal.simulate(learner(), strategies.entropy(), pool, test, **PLAN, mesh=mesh)
    on_disk = {"source": f"pool:{out}/pool", "standardize": False}
    turned = Mesh(mesh.devices[:, :: 1 - 2 * number], mesh.axis_names, axis_types=mesh.axis_types)
    return {
        "mesh": lambda: jaxal.place(*pool, turned),
        "batch size": lambda: jaxal.place(*pool, mesh, batch_size=number),
        "blocks": lambda: pools.stream(pool[0], None, mesh, batch_size=8 + number),
        "precision": lambda: pools.compress(pool[0], mesh, precision=["int8", "bfloat16"][number]),
        "labels placed": lambda: jaxal.place(pool[0], np.roll(pool[1], number), mesh),
        "strategy": lambda: acquire(["margin", "entropy"][number], mesh),
        "counts": lambda: jaxal.init(
            jax.random.key(0), learner(), jaxal.place(*pool, mesh), initial={number: 3}, capacity=8
        ),
        "checkpoint": lambda: next(loop(mesh, folder=f"{out}/one" if number else None)),
        "test": lambda: [*loop(mesh, test=data(41 - number))],
        "pool labels": lambda: [*loop(mesh, pool=(pool[0], np.roll(pool[1], number)))],
        "key": lambda: next(loop(mesh, key=number)),
        "simulated": lambda: simulation(jax.random.key(number)),
        "available": lambda: acquire("margin", mesh, available=np.arange(ROWS) > number),
        "answers": lambda: jaxal.tell(state, [3], [number]),
        "answers on devices": lambda: jaxal.tell(state, jnp.array([3]), jnp.array([number])),
        "fits": lambda: fitted_on_hosts(mesh, True),
        "folder": lambda: [*loop(mesh, folder=f"{out}/file/below")],
        "read": lambda: acquire("margin", mesh, inputs=pools.open(f"{out}/pool"), labels=None),
        "state of what is read": lambda: jaxal.init(
            jax.random.key(0), learner(), pools.stream(*pool, mesh), initial=3, capacity=8
        ),
        "rounds that read": lambda: next(loop(mesh, pool=pools.open(f"{out}/pool"))),
        "run that reads": lambda: run(mesh, f"{out}/run", config | {"data": on_disk}),
        "files embedded": lambda: pools.embed(abs, pool[0], f"{out}/one", shard_rows=9 + number),
        "config": lambda: run(mesh, f"{out}/run", config | {"seed": number}),
    }


def killed(mesh, folder):
    """How a process ends whose fellow is killed in the second round."""
    found = []
    try:
        for one in loop(mesh, folder):
            found.append(one)
            if len(found) == 2 and is_last():
                os.kill(os.getpid(), 9)
    except ConnectionError as error:
        return {"found": found, "error": str(error)}


def main():
    number, count, port, out, asked = sys.argv[1:]
    jax.config.update("jax_numpy_rank_promotion", "raise")
    gc.set_threshold(200_000, 50, 50)  # tracing makes many objects, and few cycles
    address = f"127.0.0.1:{port}"
    jax.distributed.initialize(
        address,
        int(count),
        int(number),
        coordinator_bind_address=address,
        heartbeat_timeout_seconds=100,
        shutdown_timeout_seconds=60,
    )
    mesh, tasks = devices.make_mesh(), json.loads(asked)
    found = [globals()[name](mesh, *given) for name, *given in tasks]
    pathlib.Path(f"{out}.{number}").write_text(json.dumps(found))
    if tasks[-1][0] == "killed":
        os._exit(0)  # JAX would wait for the one that is gone


if __name__ == "__main__":
    main()
