"""The active-learning loop: one decision, the state, one round, and whole experiments."""

from jaxal.loop._acquire import acquire
from jaxal.loop.iteration import iterate
from jaxal.loop.plan import ExampleSets, Plan
from jaxal.loop.round import Round, RoundInfo, make_round
from jaxal.loop.simulation import simulate
from jaxal.loop.state import State, enlarge, init, tell
from jaxal.loop.stepwise import ask, step

__all__ = [
    "ExampleSets",
    "Plan",
    "Round",
    "RoundInfo",
    "State",
    "acquire",
    "ask",
    "enlarge",
    "init",
    "iterate",
    "make_round",
    "simulate",
    "step",
    "tell",
]
