"""Data selection inside a plain training loop of optax: what it costs, and whether it helps.

The data are digits of which some labels are drawn at random, and digits as they are. At each step a
sub-batch is chosen from a super-batch: by `joint_example_selection` against a reference model
trained on few clean rows, by the learner's loss alone, or at random. All take as many steps of as
many rows. The time of the choice is a share of a step of a larger network, and the forward pass
that it needs is timed by itself. Weighted samples of `sensitivity_sampling` are compared with
uniform ones in how much their estimates of the mean loss vary, and SemDeDup is timed on 100,000
rows.
"""

from functools import partial
from typing import Any

import common
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

import jaxal
from jaxal import curation, selection

SUPER, BATCH, CLEAN = 160, 32, 200
WAYS = ("random", "jest", "hard")


class Network(nn.Module):
    """A perceptron of two hidden layers."""

    width: int
    classes: int = 10

    @nn.compact
    def __call__(self, inputs):
        for _ in range(2):
            inputs = nn.relu(nn.Dense(self.width)(inputs))
        return nn.Dense(self.classes)(inputs)


def losses(network, variables, inputs, labels):
    logits = network.apply(variables, inputs)
    return optax.softmax_cross_entropy_with_integer_labels(logits, labels)


def step(network, optimizer, way, temperature, data, state, key):
    """A step of training: the super-batch, the sub-batch, the gradient."""
    variables, moments = state
    inputs, labels, reference = data
    key_super, key_choice = jax.random.split(key)
    rows = jax.random.choice(key_super, len(labels), (SUPER,), replace=False)
    if way == "random":
        rows = rows[:BATCH]
    else:
        known = reference[rows] if way == "jest" else None
        now = losses(network, variables, inputs[rows], labels[rows])
        rows = rows[
            curation.joint_example_selection(
                key_choice, now, known, BATCH, temperature=temperature
            ).rows
        ]
    gradient = jax.grad(
        lambda variables: losses(network, variables, inputs[rows], labels[rows]).mean()
    )(variables)
    change, moments = optimizer.update(gradient, moments, variables)
    return optax.apply_updates(variables, change), moments


def train(network, way, temperature, steps, data, test, key):
    """The accuracy and the mean loss on the test set after so many steps."""
    optimizer = optax.adam(1e-3)
    key_init, key_steps = jax.random.split(key)
    variables = network.init(key_init, data[0][:1])
    state = variables, optimizer.init(variables)

    def one(state, key):
        return step(network, optimizer, way, temperature, data, state, key), None

    (variables, _), _ = jax.lax.scan(one, state, jax.random.split(key_steps, steps))
    logits = network.apply(variables, test[0])
    right = (logits.argmax(-1) == test[1]).mean()
    loss = optax.softmax_cross_entropy_with_integer_labels(logits, test[1]).mean()
    return variables, right, loss


def curves(random: float, seeds: int, steps: int) -> dict[str, Any]:
    """Each way over seeds, of data of whose labels a share is drawn at random."""
    pool, test = jaxal.data.load("sklearn:digits", standardize=True)
    inputs, labels = jnp.asarray(pool.inputs), jnp.asarray(pool.labels, jnp.int32)
    test = jnp.asarray(test.inputs), jnp.asarray(test.labels, jnp.int32)
    network = Network(64)

    def seed(key):
        key_noise, key_label, key_reference, *keys = jax.random.split(key, 3 + len(WAYS))
        noisy = jax.random.uniform(key_noise, labels.shape) < random
        other = jax.random.randint(key_label, labels.shape, 0, 10)
        given = jnp.where(noisy, other, labels).at[:CLEAN].set(labels[:CLEAN])
        clean = inputs[:CLEAN], labels[:CLEAN], jnp.zeros(CLEAN)
        reference, *_ = train(network, "random", 1.0, 300, clean, test, key_reference)
        # The clean rows that the reference knows are none of those that are learned.
        data = inputs[CLEAN:], given[CLEAN:]
        data = (*data, losses(network, reference, *data))
        found = {}
        for way, own in zip(WAYS, keys, strict=True):
            _, right, loss = train(network, way, 0.3, steps, data, test, own)
            found[way] = {"accuracy": right, "loss": loss}
        return found

    found = jax.jit(partial(jax.lax.map, seed))(jax.random.split(jax.random.key(0), seeds))
    table: dict[str, Any] = {}
    for way in WAYS:
        own = {name: np.asarray(values, float) for name, values in found[way].items()}
        table[way] = {name: summary(values) for name, values in own.items()}
        for name, values in own.items():
            table[way][f"{name}_less_random"] = summary(values - np.asarray(found["random"][name]))
    return table


def summary(values) -> dict[str, float]:
    return {
        "mean": float(values.mean()),
        "standard_error": float(values.std(ddof=1) / np.sqrt(len(values))),
    }


def seconds(width: int) -> dict[str, Any]:
    """A step and its parts, of a network of some width."""
    network, optimizer = Network(width), optax.adam(1e-3)
    inputs = jax.random.normal(jax.random.key(0), (2000, 64))
    labels = jax.random.randint(jax.random.key(1), (2000,), 0, 10)
    variables = network.init(jax.random.key(2), inputs[:1])
    state, data = (variables, optimizer.init(variables)), (inputs, labels, jnp.zeros(2000))
    known = losses(network, variables, inputs[:SUPER], labels[:SUPER])
    timed = {
        f"step, {way}": common.measure(
            partial(step, network, optimizer, way, 0.3), data, state, jax.random.key(3), repeats=30
        )
        for way in ("random", "jest")
    }
    timed["choice"] = common.measure(
        lambda key, losses, known: curation.joint_example_selection(key, losses, known, BATCH).rows,
        *(jax.random.key(3), known, known + 1.0),
        repeats=30,
    )
    timed["forward pass"] = common.measure(
        partial(losses, network), variables, inputs[:SUPER], labels[:SUPER], repeats=30
    )
    found = {name: cost["seconds"] for name, (_, cost) in timed.items()}
    return found | {"choice / step": found["choice"] / found["step, jest"]}


def variance(draws: int) -> dict[str, Any]:
    """Of the mean loss of digits estimated from 50 rows: by sensitivity, and uniformly."""
    pool, test = jaxal.data.load("sklearn:digits", standardize=True)
    inputs, labels = jnp.asarray(pool.inputs), jnp.asarray(pool.labels, jnp.int32)
    few = inputs[:CLEAN], labels[:CLEAN], jnp.zeros(CLEAN)
    test = jnp.asarray(test.inputs), jnp.asarray(test.labels, jnp.int32)
    variables, *_ = train(Network(64), "random", 1.0, 60, few, test, jax.random.key(0))
    every, found = jnp.ones(len(labels), bool), losses(Network(64), variables, inputs, labels)
    centers = selection.k_means(jax.random.key(1), inputs, every, 100, restarts=1).rows
    table: dict[str, Any] = {"truth": float(found.mean())}
    squared = curation.k_means_clusters(jax.random.key(2), inputs, every, 100).squared.mean()
    for times in (0.0, 0.1, 1.0, 10.0):
        lam = times * found[centers].mean() / squared

        def estimate(key, lam=lam):
            sample = curation.sensitivity_sampling(
                key, inputs, inputs[centers], found[centers], every, 50, lam=lam
            )
            return found[sample.rows] @ sample.weights / len(labels)

        keys = jax.random.split(jax.random.key(3), draws)
        estimates = np.asarray(jax.lax.map(estimate, keys), float)
        error = estimates.std() / np.sqrt(draws)
        table[f"lam {times} of the mean loss a mean square"] = {
            "bias_in_standard_errors": float((estimates.mean() - table["truth"]) / error),
            "variance_over_uniform": float(estimates.var() / (np.var(np.asarray(found)) / 50)),
        }
    return table


def copies() -> dict[str, Any]:
    """SemDeDup of 100,000 rows x 64, of which half are copies with some noise."""
    key, noise, order = jax.random.split(jax.random.key(0), 3)
    rows = jax.random.normal(key, (50_000, 64))
    rows = jnp.concatenate([rows, rows + 0.05 * jax.random.normal(noise, rows.shape)])
    rows = jax.random.permutation(order, rows)
    found, cost = common.measure(
        lambda key, rows: curation.semdedup(key, rows, jnp.ones(len(rows), bool)).keep,
        *(jax.random.key(1), rows),
        repeats=1,
    )
    return {name: cost[name] for name in ("seconds", "temporary_bytes")} | {
        "kept": int(found.sum())
    }


def main():
    options = common.arguments(__doc__, seeds=10, steps=400, draws=400, width=1024)
    sizes = {"super_batch": SUPER, "batch": BATCH, "seeds": options.seeds, "steps": options.steps}
    cases: dict[str, Any] = dict(sizes)
    parts = {
        "three labels of ten drawn at random": partial(curves, 0.3, options.seeds, options.steps),
        "labels as they are": partial(curves, 0.0, options.seeds, options.steps),
        f"seconds, width {options.width}": partial(seconds, options.width),
        "semdedup, 100,000 rows": copies,
        "variance of a mean loss of digits": partial(variance, options.draws),
    }
    for name, part in parts.items():
        cases[name] = part()
        common.write("selection_in_training", options.out, cases)  # what there is so far


if __name__ == "__main__":
    main()
