"""The active-learning loop: one decision, the state, one round, and whole experiments."""

from jaxal.loop._acquire import ExampleSets, acquire
from jaxal.loop.simulation import iterate, simulate
from jaxal.loop.state import RoundInfo, State, ask, init, step, tell

__all__ = [
    "ExampleSets",
    "RoundInfo",
    "State",
    "acquire",
    "ask",
    "init",
    "iterate",
    "simulate",
    "step",
    "tell",
]
