"""Models as three pure functions: adapters for flax.linen, flax.nnx and plain functions, and a small zoo."""

from jaxal.models.functions import as_outputs, from_functions
from jaxal.models.linen import from_linen
from jaxal.models.nnx import from_nnx
from jaxal.models.zoo import bayesian_cnn, cnn, logistic, make, mlp, names

__all__ = [
    "as_outputs",
    "bayesian_cnn",
    "cnn",
    "from_functions",
    "from_linen",
    "from_nnx",
    "logistic",
    "make",
    "mlp",
    "names",
]
