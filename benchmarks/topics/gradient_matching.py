"""GLISTER and GradMatch, from the features and the last layer's weights, beside DISTIL's own.

DISTIL's fixed-weight GradMatch aims at the sum of the pool's gradients (`target="pool"`); its
other form runs on CUDA alone.
"""

# The packages are in an environment of their own.
# pyright: reportMissingImports=false

import numpy as np

from benchmarks.harness.topic import Quality, Side, Topic, Work, jaxal_side
from benchmarks.topics.examples import classifier, residuals

RATE = 0.01


def make(rng, size):
    """One label in five is wrong, so that labelled rows have gradients."""
    count = size["rows"] + size["labeled"]
    features, weights = classifier(rng, count, size["width"], size["classes"])
    labels = (features @ weights).argmax(1)[size["rows"] :]
    wrong = rng.random(len(labels)) < 0.2
    labels = np.where(wrong, rng.integers(0, size["classes"], len(labels)), labels)
    return {
        "pool": features[: size["rows"]],
        "labeled": features[size["rows"] :],
        "labels": labels,
        "weights": weights,
    }


def glister(inputs, size):
    import jax
    import jax.numpy as jnp

    from jaxal import selection

    pool, known, weights = (jnp.asarray(inputs[name]) for name in ("pool", "labeled", "weights"))
    labels, mask = jnp.asarray(inputs["labels"]), jnp.ones(len(known), bool)
    free = jnp.ones(len(pool), bool)

    def call(seed):
        labeled = (known @ weights, known, labels, mask)
        picked = selection.glister(
            jax.random.key(seed),
            (pool @ weights, pool),
            labeled,
            free,
            size["picks"],
            learning_rate=RATE,
        )
        return np.asarray(picked.rows)

    return call


def grad_match(inputs, size):
    import jax.numpy as jnp

    from jaxal import selection

    pool, weights = jnp.asarray(inputs["pool"]), jnp.asarray(inputs["weights"])
    free = jnp.ones(len(pool), bool)

    def call(seed):
        rows = (pool @ weights, pool)
        return np.asarray(selection.grad_match(rows, free, size["picks"], target="pool").rows)

    return call


def distil(name):
    """The strategy, with a net of one linear layer, in batches of 1,000."""

    def prepare(inputs, size):
        import torch
        from distil import active_learning_strategies

        weights = inputs["weights"]

        class Net(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.linear = torch.nn.Linear(*weights.shape)

            def forward(self, inputs, last=False, freeze=False):
                logits = self.linear(inputs)
                return (logits, inputs) if last else logits

            def get_embedding_dim(self):
                return weights.shape[0]

        net = Net()
        with torch.no_grad():
            net.linear.weight.copy_(torch.from_numpy(weights.T))
            net.linear.bias.zero_()
        pool, known, labels = (torch.from_numpy(inputs[k]) for k in ("pool", "labeled", "labels"))
        labeled = torch.utils.data.TensorDataset(known, labels)
        options = {"lr": RATE, "batch_size": 1_000, "device": "cpu"}
        kind = getattr(active_learning_strategies, name)

        def call(seed):
            rule = kind(labeled, pool, net, size["classes"], dict(options))
            return np.asarray([int(row) for row in rule.select(size["picks"])])

        return call

    return Side(prepare, "decile-distil", ("torch", "distil.active_learning_strategies"))


def gradient(features, errors):
    """Of the summed loss in weights [D, C] and biases [C]."""
    return features.T @ errors, errors.sum(0)


def in_float64(inputs):
    pool, known, weights = (
        inputs[name].astype(np.float64) for name in ("pool", "labeled", "weights")
    )
    return pool, known, weights, residuals(pool @ weights)


def loss_after(inputs, size, rows):
    """Cross-entropy over pool and labelled rows after a step along these and the picks."""
    pool, known, weights, errors = in_float64(inputs)
    of_known = gradient(known, residuals(known @ weights, inputs["labels"]))
    of_picks = gradient(pool[rows], errors[rows])
    moved, bias = (-RATE * (a + b) for a, b in zip(of_known, of_picks, strict=True))
    everything = np.concatenate([pool, known])
    labels = np.concatenate([(pool @ weights).argmax(1), inputs["labels"]])
    logits = everything @ (weights + moved) + bias
    logits -= logits.max(1, keepdims=True)
    likely = np.take_along_axis(logits, labels[:, None], 1)[:, 0]
    return float((np.log(np.exp(logits).sum(1)) - likely).mean())


def distance(inputs, size, rows):
    """Of the picks' summed gradient from that of the pool, divided by the latter's length."""
    pool, _, _, errors = in_float64(inputs)
    whole, picked = gradient(pool, errors), gradient(pool[rows], errors[rows])
    rest = sum(((a - b) ** 2).sum() for a, b in zip(whole, picked, strict=True))
    return float(np.sqrt(rest / sum((part**2).sum() for part in whole)))


SIZES = {
    "small": {"rows": 1_000, "labeled": 100, "width": 64, "classes": 10, "picks": 20},
    "medium": {"rows": 5_000, "labeled": 500, "width": 128, "classes": 10, "picks": 200},
    "large": {"rows": 50_000, "labeled": 500, "width": 512, "classes": 10, "picks": 1_000},
}


def shape(size):
    return f"{size['rows']:,} x ({size['classes']}, {size['width']}), {size['picks']:,} picks"


GLISTER = Topic(
    title="GLISTER",
    sizes=SIZES,
    make=make,
    sides={"jaxal": jaxal_side(glister), "DISTIL": distil("GLISTER")},
    quality=Quality("loss after the step", loss_after, higher_is_better=False),
    work=lambda size: Work(
        6.0 * size["rows"] * size["classes"] * size["width"] * size["picks"],
        4.0 * size["rows"] * (size["classes"] + size["width"]) * size["picks"],
    ),
    shape=shape,
)
GRAD_MATCH = Topic(
    title="GradMatch",
    sizes=SIZES,
    make=make,
    sides={"jaxal": jaxal_side(grad_match), "DISTIL": distil("GradMatchActive")},
    quality=Quality("distance left", distance, higher_is_better=False),
    work=lambda size: Work(
        2.0
        * size["rows"]
        * (size["classes"] * size["width"] + size["picks"] * (size["classes"] + size["width"])),
        4.0 * size["rows"] * (size["classes"] + size["width"]) * size["picks"],
    ),
    shape=shape,
)
