"""Values and greedy orders of set functions, made by running submodlib and checked in float64."""

import json
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxal import submodular

CASES = sorted((pathlib.Path(__file__).parent / "conformance").glob("submodular__*"))
OPTIONS = {"eta": "eta", "nu": "nu", "mode": "concave", "lam": "ridge"}


def functions(case, meta):
    """The set function of each setting of a case."""
    stem = meta["case"]
    name = next(name for name in submodular.names() if stem.startswith(name))
    common = {}
    if "metric" in meta:
        shifted = meta["kernel_shift"] != "none"
        common |= {"metric": meta["metric"], "shifted": shifted}
    for part in ("query", "private"):
        if f"in_{part}" in case:
            common[part] = jnp.asarray(case[f"in_{part}"])
    if "in_feature_weights" in case:
        common["weights"] = jnp.asarray(case["in_feature_weights"])
    options = OPTIONS | ({"lam": "trade_off"} if name.startswith("g") else {})
    for setting in meta["params"][:2]:
        hyper = {options[given]: value for given, value in setting.items()}
        yield submodular.make(name, jnp.asarray(case["in_data"]), **common, **hyper)


@pytest.mark.slow
@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem.split("__")[1])
def test_as_submodlib(path):
    with np.load(path) as file:
        case = dict(file)
    meta = json.loads(str(case.pop("meta")))
    for k, function in enumerate(functions(case, meta)):
        values = jax.vmap(submodular.evaluate, (None, 0))(function, case["in_subsets"])
        np.testing.assert_allclose(values, case[f"out_f_p{k}"], rtol=1e-4, atol=2e-4)
        expected, every = case[f"out_order_p{k}"], jnp.ones(function.size, bool)
        # Where f of single rows ties, the stored order starts from the lowest row.
        for optimizer in ("naive", "lazy")[: 1 + function.submodular]:
            picked = submodular.maximize(
                function, every, len(expected), optimizer=optimizer, block_size=8
            )
            assert picked.rows.tolist() == expected.tolist()
            gains = case[f"out_gains_p{k}"]
            size = max(1.0, np.abs(values).max())
            np.testing.assert_allclose(picked.scores, gains, atol=1e-4 * size)
