"""Where stopping rules end a loop on digits: labels bought, and the accuracy that more would add.

The loop goes on to the end, and each rule is asked after which round it would have stopped. The
stop set are the test examples, whose labels no rule sees.
"""

import common
import jax
import jax.numpy as jnp
import numpy as np
import optax

import jaxal
from jaxal import stopping

ROUNDS, BUDGET, INITIAL, CLASSES = 60, 10, 20, 10
FALSE = 0.01  # accuracy lost from which on a stop came too soon


def history(seed):
    """Labels, test accuracies, and predictions and gaps of one run."""
    pool, test = jaxal.data.load("sklearn:digits")
    model = jaxal.models.mlp(CLASSES, hidden=(128,))
    learner = jaxal.Learner(model, optax.adam(3e-3), max_epochs=60)
    outputs = jax.jit(model.apply)
    gap = jax.jit(lambda *args: stopping.error_gap(*args, num_classes=CLASSES))
    rounds = jaxal.iterate(
        jax.random.key(seed),
        learner,
        jaxal.strategies.margin(),
        pool,
        test,
        initial=INITIAL,
        budget=BUDGET,
        rounds=ROUNDS,
    )
    labels, accuracy, logits, gaps, known = [], [], [], [], None
    for state, info in rounds:
        labels.append(int(info.labels))
        accuracy.append(float(info.test.accuracy))
        logits.append(np.asarray(outputs(state.variables, test.inputs).logits))
        after = jnp.arange(len(state.rows)) < labels[-1]
        features = outputs(state.variables, pool.inputs[np.maximum(state.rows, 0)]).features
        before = jnp.zeros_like(after) if known is None else known
        gaps.append(float(gap(features, state.labels, before, after)))
        known = after
    return np.array(labels), np.array(accuracy), jnp.asarray(np.stack(logits)), jnp.asarray(gaps)


def main():
    options = common.arguments(__doc__, seeds=10)
    stops: dict[str, list[int | None]] = {}
    runs = [history(seed) for seed in range(options.seeds)]
    for _, _, logits, gaps in runs:
        predictions = logits.argmax(-1)
        rules = {
            "stabilizing_predictions": stopping.stabilizing_predictions(
                predictions, num_classes=CLASSES
            ),
            "stabilizing_predictions, 0.97": stopping.stabilizing_predictions(
                predictions, num_classes=CLASSES, threshold=0.97
            ),
            "classification_change": stopping.classification_change(predictions),
            "overall_uncertainty": stopping.overall_uncertainty(logits),
            "error_stability": stopping.error_stability(gaps),
        }
        for name, when in rules.items():
            first = np.flatnonzero(np.asarray(when))
            stops.setdefault(name, []).append(int(first[0]) if len(first) else None)
    cases = {}
    for name, found in stops.items():
        ended = [(run, at) for run, at in zip(runs, found, strict=True) if at is not None]
        lost = [float(accuracy[-5:].mean() - accuracy[at]) for (_, accuracy, *_), at in ended]
        cases[name] = {
            "stopped": len(ended),
            "labels": float(np.mean([run[0][at] for run, at in ended])) if ended else None,
            "accuracy_lost": float(np.mean(lost)) if ended else None,
            "too_soon": sum(one > FALSE for one in lost),
        }
    whole = {"seeds": options.seeds, "labels": INITIAL + ROUNDS * BUDGET, "too_soon_above": FALSE}
    whole["accuracy"] = float(np.mean([accuracy[-5:].mean() for _, accuracy, *_ in runs]))
    common.write("stopping", options.out, whole | cases)


if __name__ == "__main__":
    main()
