"""What `test_processes.py` has every process do: `python process_tasks.py TASK NUMBER COUNT PORT`.

Each task returns what its process found, which goes to the file OUT.NUMBER as JSON.
"""

import itertools
import json
import os
import sys
from typing import Any

import jax
import numpy as np
import optax

import jaxal
from jaxal import strategies
from jaxal.pools import devices

ROWS, LABELED, BUDGET = 1003, 9, 7
NEEDS = {"smi": ["query"], "scg": ["private"], "scmi": ["query", "private"]}
PLAN: dict[str, Any] = {"initial": 6, "budget": 3, "rounds": 3}


def data(rows=ROWS, seed=0):
    """Clouds of three classes."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, rows).astype(np.int32)
    centers = np.random.default_rng(99).normal(size=(3, 5)) * 2
    return (centers[labels] + rng.normal(size=(rows, 5))).astype(np.float32), labels


def learner():
    return jaxal.Learner(jaxal.models.logistic(3), optax.sgd(0.1), max_epochs=3)


def acquire(name, mesh, inputs=None, **options):
    given, labels = data()
    sets: dict[str, Any] = {need: (given[:4], labels[:4]) for need in NEEDS.get(name, [])}
    model = jaxal.models.mlp(3, hidden=(8,), dropout=0.3)
    return jaxal.acquire(
        jax.random.key(1),
        strategies.make(name),
        model,
        model.init(jax.random.key(3), given[:1]),
        given if inputs is None else inputs,
        BUDGET,
        **{"labels": np.where(np.arange(ROWS) < LABELED, labels, -1), "mesh": mesh} | options,
        **sets,
    )


def picks(mesh, names=None):
    """The rows that each strategy picks."""
    return {
        name: np.asarray(acquire(name, mesh).rows).tolist() for name in names or strategies.names()
    }


def loop(mesh, folder, key=0):
    """Rounds on the host: what they pick and reach."""
    pool, test, key = data(203), data(41, seed=1), jax.random.key(key)
    rounds = jaxal.iterate(
        key, learner(), strategies.margin(), pool, test, **PLAN, mesh=mesh, checkpoint=folder
    )
    for _, info in rounds:
        yield [np.asarray(info.rows).tolist(), float(info.test.accuracy)]


def rounds(mesh, folder=None, count=None):
    """All rounds, or the first so many."""
    return [*itertools.islice(loop(mesh, folder), count)]


def experiment(mesh):
    """Rows of a vmapped simulation, and of rounds in which people label."""
    run = jaxal.simulate(
        learner(), strategies.entropy(), data(203), data(41, seed=1), **PLAN, mesh=mesh
    )
    keys = devices.place_seeds(jax.random.split(jax.random.key(0), 2), mesh)
    simulated = devices.to_host(jax.vmap(run)(keys)[1].rows).tolist()
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
    return {"simulated": simulated, "told": [np.asarray(one).tolist() for one in told]}


def smoke(mesh):
    """One decision and one simulation."""
    run = jaxal.simulate(
        learner(), strategies.entropy(), data(203), data(41, seed=1), **PLAN, mesh=mesh
    )
    return picks(mesh, ["entropy"]) | {"rows": np.asarray(run(jax.random.key(0))[1].rows).tolist()}


def own_rows(mesh, split=600):
    """Picks from a pool of which each process has rows of its own, as rows of the whole."""
    inputs, labels = data()
    labels = np.where(np.arange(ROWS) < LABELED, labels, -1)
    bounds = [0, ROWS] if jax.process_count() == 1 else [0, split, ROWS]
    own = slice(*bounds[jax.process_index() :][:2])
    pool = jaxal.place(inputs[own], labels[own], mesh, local=True)
    process, row = np.divmod(
        np.asarray(acquire("core_set", None, pool, labels=None).rows),
        len(pool) // jax.process_count(),
    )
    return (np.asarray(bounds)[process] + row).tolist()


def bad_inputs(mesh):
    """The errors that all processes see where one has bad input, or another than the others."""
    last = jax.process_index() == jax.process_count() - 1
    inputs, labels = data(203)
    flawed, wrong = inputs.copy(), labels.copy()
    flawed[202, 1], wrong[202] = np.nan, -2
    own, half = inputs[:50], inputs[:50].astype(np.float16)
    test = data(41, seed=1)
    others = [one for one in jax.devices() if one.process_index != jax.process_index()]
    calls = {
        "values": lambda: jaxal.place(flawed if last else inputs, labels, mesh),
        "labels": lambda: jaxal.place(inputs, wrong if last else labels, mesh),
        "own rows": lambda: jaxal.place(flawed[-9:] if last else own, None, mesh, local=True),
        "types": lambda: jaxal.place(half if last else own, None, mesh, local=True),
        "another's": lambda: jaxal.place(inputs, labels, devices.make_mesh(devices=others)),
        "seeds": lambda: jaxal.place(own, None, devices.make_mesh(seeds=2), local=True),
        "test": lambda: jaxal.simulate(
            learner(),
            strategies.entropy(),
            (inputs, labels),
            (flawed[-41:] if last else test[0], test[1]),
            **PLAN,
            mesh=mesh,
        ),
        "key": lambda: next(loop(mesh, None, key=int(last))),
    }
    found = {}
    for name, call in calls.items():
        try:
            call()
        except ValueError as error:
            found[name] = str(error)
    return found | {"then": picks(mesh, ["entropy"])}


def reads(mesh):
    """Which share of a pool's rows a process reads of a file."""
    inputs, _ = data(4 * jax.device_count())

    class Watched(np.ndarray):
        rows: set = set()

        def __getitem__(self, index):
            if isinstance(index, slice) and self.ndim == 2:
                Watched.rows |= set(range(len(self))[index])
            return np.asarray(self)[index]

    pool = jaxal.place(inputs.view(Watched), None, mesh)
    assert len(pool) == len(inputs)
    return sorted(Watched.rows)


def killed(mesh, folder):
    """How a process ends whose fellow is killed in the second round."""
    last = jax.process_index() == jax.process_count() - 1
    found = []
    try:
        for one in loop(mesh, folder):
            found.append(one)
            if len(found) == 2 and last:
                os.kill(os.getpid(), 9)
    except ConnectionError as error:
        return {"found": found, "error": str(error)}


def main():
    task, number, count, port, out, *given = sys.argv[1:]
    jax.config.update("jax_numpy_rank_promotion", "raise")
    address = f"127.0.0.1:{port}"
    jax.distributed.initialize(
        address,
        int(count),
        int(number),
        coordinator_bind_address=address,
        heartbeat_timeout_seconds=10,
        shutdown_timeout_seconds=60,
    )
    found = globals()[task](devices.make_mesh(), *map(json.loads, given))
    with open(f"{out}.{number}", "w") as file:
        json.dump(found, file)
    if task == "killed":
        os._exit(0)  # JAX would wait for the one that is gone


if __name__ == "__main__":
    main()
