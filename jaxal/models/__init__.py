"""Models as three pure functions: adapters for flax.linen, flax.nnx, functions; a small zoo."""

from typing import TYPE_CHECKING

from jaxal._lazy import lazy

if TYPE_CHECKING:
    from jaxal.models.augmentation import augmented
    from jaxal.models.functions import as_outputs, from_functions
    from jaxal.models.layers import with_dropout, with_features
    from jaxal.models.linen import from_linen
    from jaxal.models.nnx import from_nnx
    from jaxal.models.normalization import normalized
    from jaxal.models.zoo import bayesian_cnn, cnn, logistic, make, mlp, names
else:
    __getattr__, __dir__ = lazy(
        __name__,
        {
            "jaxal.models.augmentation": ["augmented"],
            "jaxal.models.functions": ["as_outputs", "from_functions"],
            "jaxal.models.layers": ["with_dropout", "with_features"],
            "jaxal.models.linen": ["from_linen"],
            "jaxal.models.nnx": ["from_nnx"],
            "jaxal.models.normalization": ["normalized"],
            "jaxal.models.zoo": ["bayesian_cnn", "cnn", "logistic", "make", "mlp", "names"],
        },
    )

__all__ = [
    "as_outputs",
    "augmented",
    "bayesian_cnn",
    "cnn",
    "from_functions",
    "from_linen",
    "from_nnx",
    "logistic",
    "make",
    "mlp",
    "names",
    "normalized",
    "with_dropout",
    "with_features",
]
