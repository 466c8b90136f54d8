"""What a decision costs, in seconds and bytes, before it is made: `jaxal.estimate`.

machine = jaxal.Machine(flops=50e12, bandwidth=3.3e12, launch=4e-6)
print(jaxal.estimate("core_set", 1_000_000, 512, 10_000, machine=machine))
"""

from jaxal.costs._estimate import DROPOUT, Estimate, estimate, lower, of_program
from jaxal.costs.machine import Machine, Prices, measure, measured

__all__ = [
    "DROPOUT",
    "Estimate",
    "Machine",
    "Prices",
    "estimate",
    "lower",
    "measure",
    "measured",
    "of_program",
]
