"""Adversarial distances of many examples at once, beside DISTIL's, which takes them one by one.

The comparison is made where distil (with torch) is installed, in the same run, on the first `few`
examples.
"""

import time
from importlib import import_module
from importlib.util import find_spec

import common
import jax
import jax.numpy as jnp
import numpy as np
from sklearn.datasets import load_digits
from sklearn.neural_network import MLPClassifier

from jaxal import scores


def trained():
    """Weights of an MLP 64-128-10 on digits, and inputs around the digits, [N, 64]."""
    inputs, labels = load_digits(return_X_y=True)
    inputs = (inputs / 16).astype(np.float32)
    net = MLPClassifier((128,), max_iter=60, random_state=0, early_stopping=True)
    net.fit(inputs, labels)
    rng = np.random.default_rng(0)
    rows = rng.integers(0, len(inputs), 5_000)
    noisy = inputs[rows] + 0.1 * rng.normal(size=(5_000, 64))
    weights = [array.astype(np.float32) for array in (*net.coefs_, *net.intercepts_)]
    return weights, noisy.astype(np.float32)


def network(weights):
    first, second, first_bias, second_bias = (jnp.asarray(array) for array in weights)

    def apply(inputs):
        hidden = jax.nn.relu(inputs @ first + first_bias[None])
        return hidden @ second + second_bias[None]

    return apply


def distil_seconds(name, weights, inputs):
    """Seconds that DISTIL's own distance takes for the given examples, and the distances."""
    torch = import_module("torch")
    strategies = import_module("distil.active_learning_strategies")
    first, second, first_bias, second_bias = (torch.from_numpy(array) for array in weights)
    net = torch.nn.Sequential(
        torch.nn.Flatten(),
        torch.nn.Linear(64, 128),
        torch.nn.ReLU(),
        torch.nn.Linear(128, 10),
    )
    with torch.no_grad():
        for layer, weight, bias in (
            (net[1], first, first_bias),
            (net[3], second, second_bias),
        ):
            layer.weight.copy_(weight.T)
            layer.bias.copy_(bias)
    kinds = {"basic_iterative": "AdversarialBIM", "deep_fool": "AdversarialDeepFool"}
    kind = getattr(strategies, kinds[name])
    strategy = kind.__new__(kind)
    strategy.model, strategy.eps, strategy.max_iter = net, 0.05, 50
    images = torch.from_numpy(inputs.reshape(-1, 1, 8, 8))
    start = time.perf_counter()
    distances = [float(strategy.cal_dis(image)) for image in images]
    return time.perf_counter() - start, distances


def main():
    options = common.arguments(__doc__, few=100)
    weights, inputs = trained()
    cases = {}
    for name in ("basic_iterative", "deep_fool"):
        attack, apply = getattr(scores, name), network(weights)
        found, report = common.measure(
            lambda inputs, attack=attack, apply=apply: attack(apply, inputs),
            jnp.asarray(inputs),
            repeats=3,
        )
        report |= {
            "examples": len(inputs),
            "most_steps": int(jnp.max(found.steps)),
            "flipped": float(jnp.mean(found.flipped)),
        }
        if find_spec("distil"):
            seconds, distances = distil_seconds(name, weights, inputs[: options.few])
            ours = np.asarray(found.squared_distance[: options.few])
            report["distil"] = {
                "examples": options.few,
                "seconds": seconds,
                "median_relative_difference": float(np.median(np.abs(distances - ours) / ours)),
            }
            each = report["seconds"] / len(inputs)
            report["ratio_per_example"] = seconds / options.few / each
        cases[name] = report
    common.write("adversarial", options.out, cases)


if __name__ == "__main__":
    main()
