"""How often intervals of an accuracy hold, and what they cost: active inference on digits.

A model is fitted to some labelled rows. Its accuracy on the others is estimated from labels of a
share of them, a thousand times, by three ways to draw and predict: uniformly without the model's
probabilities, uniformly with them, and in proportion to its uncertainty.

Coverage is that of the mean over these very rows, as the labels alone are drawn anew: for it the
intervals are too wide, as they allow for other rows too.
"""

from functools import partial
from typing import Any

import common
import jax
import jax.numpy as jnp
import optax

import jaxal
from jaxal import evaluation

RATES = (0.1, 0.2, 0.4)
CONFIDENCE = 0.9
HALF_WIDTH = 0.01


def fitted(pool, test, labels):
    """Whether the model is right on the rows without a label, and what it gives that."""
    learner = jaxal.Learner(jaxal.models.mlp(10, hidden=(128,)), optax.adam(3e-3), max_epochs=60)
    learner = jaxal.calibrated(learner)
    run = jaxal.simulate(
        learner, jaxal.strategies.random(), pool, test, initial=labels, budget=1, rounds=1
    )
    state, _ = run(jax.random.key(0))
    logits = learner.model.apply(state.variables, jnp.asarray(pool.inputs)).logits
    rest = jnp.ones(len(pool.labels), bool).at[state.rows[:labels]].set(False)
    right = (logits.argmax(-1) == pool.labels).astype(jnp.float32)
    return right[rest], jax.nn.softmax(logits).max(-1)[rest]


@partial(jax.jit, static_argnames="repeats")
def intervals(key, right, predicted, uncertainty, rate, repeats):
    """Of so many draws: estimates, ends, and how many labels each took."""
    chances = evaluation.sampling_probabilities(uncertainty, rate=rate)

    def draw(key):
        sampled = jax.random.uniform(key, chances.shape) < chances
        found = evaluation.active_inference(
            predicted, right, chances, sampled, confidence=CONFIDENCE
        )
        return found, jnp.sum(sampled)

    return jax.lax.map(draw, jax.random.split(key, repeats), batch_size=100)


def cases(right, sure, repeats) -> dict[str, Any]:
    """Coverage and width of each way at each rate, and the labels for one width."""
    same, mean = jnp.ones_like(sure), jnp.full_like(sure, 0.5)
    ways = {
        "uniform": (mean, same),
        "uniform, predicted": (sure, same),
        "active": (sure, jnp.sqrt(sure * (1 - sure))),
    }
    truth, table = float(right.mean()), {}
    for number, (name, (predicted, uncertainty)) in enumerate(ways.items()):
        # Plainly drawn, the mean itself is what is predicted of each row.
        known = jnp.full_like(sure, truth) if name == "uniform" else predicted
        needed = evaluation.labels_needed(
            known,
            right,
            uncertainty,
            half_width=HALF_WIDTH,
            rows=10 * len(sure),
            confidence=CONFIDENCE,
        )
        table[name] = {"labels_needed_of_ten_times_the_rows": float(needed)}
        for place, rate in enumerate(RATES):
            key = jax.random.fold_in(jax.random.key(1), 10 * number + place)
            found, labels = intervals(key, right, known, uncertainty, rate, repeats)
            covered = (found.lower <= truth) & (truth <= found.upper)
            table[name][f"rate {rate}"] = {
                "labels": float(labels.mean()),
                "half_width": float((found.upper - found.lower).mean() / 2),
                "bias": float(found.estimate.mean() - truth),
                "coverage": float(covered.mean()),
            }
    return table | {"accuracy": truth, "mean_probability": float(sure.mean()), "rows": len(sure)}


def main():
    options = common.arguments(__doc__, labels=60, repeats=1_000)
    pool, test = jaxal.data.load("sklearn:digits")
    rare = jaxal.data.scenarios.imbalanced(pool, {8: 0.1, 9: 0.1})
    common.write(
        "evaluation",
        options.out,
        {
            "repeats": options.repeats,
            "confidence": CONFIDENCE,
            "half_width": HALF_WIDTH,
            **{
                name: cases(*fitted(some, test, options.labels), options.repeats)
                for name, some in {"digits": pool, "two classes rare": rare}.items()
            },
        },
    )


if __name__ == "__main__":
    main()
