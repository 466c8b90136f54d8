"""jaxal: active learning for JAX.

Which unlabelled examples to label next, as pure functions that jit, vmap and shard.

    run = jaxal.simulate(learner, jaxal.strategies.badge(), pool, test, initial=20, budget=20, rounds=15)
    state, history = jax.vmap(run)(jax.random.split(key, 20))  # 20 seeds, one program

`acquire` is one decision for a codebase of your own; `scores` and `selection` are functions of arrays.
"""

from jaxal import (
    data,
    devices,
    models,
    posterior,
    scores,
    selection,
    strategies,
    submodular,
)
from jaxal.acquisition import Extras, acquire
from jaxal.base import (
    Examples,
    Model,
    Outputs,
    Selection,
    Strategy,
    View,
    WeightedSelection,
)
from jaxal.ensembles import ensemble
from jaxal.loop import RoundInfo, State, ask, init, step, tell
from jaxal.pool import Pool, place
from jaxal.simulation import iterate, simulate
from jaxal.training import CustomLearner, FitInfo, Learner

__version__ = "0.1.0"

__all__ = [
    "CustomLearner",
    "Examples",
    "Extras",
    "FitInfo",
    "Learner",
    "Model",
    "Outputs",
    "Pool",
    "RoundInfo",
    "Selection",
    "State",
    "Strategy",
    "View",
    "WeightedSelection",
    "acquire",
    "ask",
    "data",
    "devices",
    "ensemble",
    "init",
    "iterate",
    "models",
    "place",
    "posterior",
    "scores",
    "selection",
    "simulate",
    "step",
    "strategies",
    "submodular",
    "tell",
]
