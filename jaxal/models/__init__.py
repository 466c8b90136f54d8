"""Models as three pure functions: adapters for flax, Equinox, functions; and a zoo."""

from typing import TYPE_CHECKING

from jaxal._lazy import lazy

if TYPE_CHECKING:
    from jaxal.models.augmentation import augmented
    from jaxal.models.equinox import from_equinox
    from jaxal.models.functions import as_outputs, from_functions
    from jaxal.models.layers import with_dropout, with_features
    from jaxal.models.linen import from_linen
    from jaxal.models.nnx import from_nnx
    from jaxal.models.normalization import normalized
    from jaxal.models.zoo.cnn import bayesian_cnn, cnn
    from jaxal.models.zoo.dense import densenet121
    from jaxal.models.zoo.lenet import cifar_net, lenet, mnist_net
    from jaxal.models.zoo.mobile import mobilenet_v2
    from jaxal.models.zoo.perceptron import linear, logistic, mlp, two_layer_net
    from jaxal.models.zoo.registry import make, names
    from jaxal.models.zoo.residual import (
        preact_resnet18,
        resnet18,
        resnet34,
        resnet50,
        wide_resnet_28_10,
    )
    from jaxal.models.zoo.text import transformer
    from jaxal.models.zoo.vgg import vgg11, vgg16, vgg19
else:
    __getattr__, __dir__ = lazy(
        __name__,
        {
            "jaxal.models.augmentation": ["augmented"],
            "jaxal.models.equinox": ["from_equinox"],
            "jaxal.models.functions": ["as_outputs", "from_functions"],
            "jaxal.models.layers": ["with_dropout", "with_features"],
            "jaxal.models.linen": ["from_linen"],
            "jaxal.models.nnx": ["from_nnx"],
            "jaxal.models.zoo.cnn": ["bayesian_cnn", "cnn"],
            "jaxal.models.zoo.dense": ["densenet121"],
            "jaxal.models.zoo.lenet": ["cifar_net", "lenet", "mnist_net"],
            "jaxal.models.zoo.mobile": ["mobilenet_v2"],
            "jaxal.models.zoo.perceptron": ["linear", "logistic", "mlp", "two_layer_net"],
            "jaxal.models.zoo.registry": ["make", "names"],
            "jaxal.models.zoo.residual": [
                "preact_resnet18",
                "resnet18",
                "resnet34",
                "resnet50",
                "wide_resnet_28_10",
            ],
            "jaxal.models.zoo.text": ["transformer"],
            "jaxal.models.zoo.vgg": ["vgg11", "vgg16", "vgg19"],
            "jaxal.models.normalization": ["normalized"],
        },
    )

__all__ = [
    "as_outputs",
    "augmented",
    "bayesian_cnn",
    "cifar_net",
    "cnn",
    "densenet121",
    "from_equinox",
    "from_functions",
    "from_linen",
    "from_nnx",
    "lenet",
    "linear",
    "logistic",
    "make",
    "mlp",
    "mnist_net",
    "mobilenet_v2",
    "names",
    "preact_resnet18",
    "resnet18",
    "resnet34",
    "resnet50",
    "transformer",
    "two_layer_net",
    "vgg11",
    "vgg16",
    "vgg19",
    "wide_resnet_28_10",
    "normalized",
    "with_dropout",
    "with_features",
]
