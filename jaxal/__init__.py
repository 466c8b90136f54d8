"""jaxal: active learning for JAX.

Which unlabelled examples to label next, as pure functions that jit, vmap and shard.

    run = jaxal.simulate(
        learner, jaxal.strategies.badge(), pool, test, initial=20, budget=20, rounds=15
    )
    state, history = jax.vmap(run)(jax.random.split(key, 20))  # 20 seeds, one program

`acquire` is one decision for a codebase of your own; `scores`, `selection` and `submodular` are
functions of arrays. Names are imported when they are first used: `jaxal.scores` alone costs
little more than `import jax`.
"""

from typing import TYPE_CHECKING

from jaxal._lazy import lazy

if TYPE_CHECKING:
    from jaxal import (
        accelerators,
        calibration,
        costs,
        curation,
        data,
        evaluation,
        experiment,
        interop,
        labeling,
        models,
        points,
        pools,
        posterior,
        report,
        scores,
        selection,
        stopping,
        strategies,
        submodular,
        training,
    )
    from jaxal.base import Examples, Model, Outputs, Selection, Strategy, View
    from jaxal.costs import Estimate, Machine, estimate
    from jaxal.loop import (
        ExampleSets,
        RoundInfo,
        State,
        acquire,
        ask,
        enlarge,
        init,
        iterate,
        simulate,
        step,
        tell,
    )
    from jaxal.pools import Pool, devices, place
    from jaxal.training import CustomLearner, FitInfo, Learner, calibrated, ensemble
else:
    __getattr__, __dir__ = lazy(
        __name__,
        {
            "jaxal.base": ["Examples", "Model", "Outputs", "Selection", "Strategy", "View"],
            "jaxal.costs": ["Estimate", "Machine", "estimate"],
            "jaxal.loop": ["ExampleSets", "RoundInfo", "State", "acquire", "ask", "enlarge"]
            + ["init", "iterate", "simulate", "step", "tell"],
            "jaxal.pools": ["Pool", "place"],
            "jaxal.training": ["CustomLearner", "FitInfo", "Learner", "calibrated", "ensemble"],
        },
        modules=[
            "jaxal.accelerators",
            "jaxal.calibration",
            "jaxal.costs",
            "jaxal.curation",
            "jaxal.data",
            "jaxal.evaluation",
            "jaxal.experiment",
            "jaxal.interop",
            "jaxal.labeling",
            "jaxal.models",
            "jaxal.points",
            "jaxal.pools",
            "jaxal.pools.devices",
            "jaxal.posterior",
            "jaxal.report",
            "jaxal.scores",
            "jaxal.selection",
            "jaxal.stopping",
            "jaxal.strategies",
            "jaxal.submodular",
            "jaxal.training",
        ],
    )

__version__ = "0.2.0"

__all__ = [
    "CustomLearner",
    "Estimate",
    "Examples",
    "ExampleSets",
    "FitInfo",
    "Learner",
    "Machine",
    "Model",
    "Outputs",
    "Pool",
    "RoundInfo",
    "Selection",
    "State",
    "Strategy",
    "View",
    "accelerators",
    "acquire",
    "ask",
    "calibrated",
    "calibration",
    "costs",
    "curation",
    "data",
    "devices",
    "enlarge",
    "ensemble",
    "estimate",
    "evaluation",
    "experiment",
    "init",
    "interop",
    "iterate",
    "labeling",
    "models",
    "place",
    "points",
    "pools",
    "posterior",
    "report",
    "scores",
    "selection",
    "simulate",
    "step",
    "stopping",
    "strategies",
    "submodular",
    "tell",
    "training",
]
