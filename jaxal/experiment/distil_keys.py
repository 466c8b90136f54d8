"""DISTIL's JSON configurations: every key, what it means here, and the data sets by their names.

References:
  decile-team/distil at d46f0b4: `train.py`, `distil/utils/train_helper.py`, `configs/`.
"""

from typing import Any, NamedTuple

from jaxal.entry import at_least, flag, integer, positive, text
from jaxal.renaming import Choice, Key, Option, Refused, Table, Unread, anything, check_table


class DataSet(NamedTuple):
    """A data set that DISTIL knows, and how it is prepared there."""

    shape: tuple[int, ...]  # of an example
    num_classes: int
    rows: int | None = None  # of the train part; None: as many as the file has
    crop: int = 0  # pixels that are padded before a random crop
    flip: bool = False

    @property
    def is_image(self) -> bool:
        """Whether an example is one."""
        return len(self.shape) > 1


DATA_SETS = {
    "cifar10": DataSet((32, 32, 3), 10, 50_000, crop=4, flip=True),
    "cifar100": DataSet((32, 32, 3), 100, 50_000, crop=4, flip=True),
    "mnist": DataSet((28, 28, 1), 10, 60_000, crop=4),
    "fmnist": DataSet((28, 28, 1), 10, 60_000, crop=4, flip=True),
    "svhn": DataSet((32, 32, 3), 10, 73_257, crop=4, flip=True),
    "stl10": DataSet((96, 96, 3), 10, 5_000, crop=4, flip=True),
    "satimage": DataSet((36,), 6),
    "ijcnn1": DataSet((22,), 2),
}
VECTOR_MODELS = ("two_layer_net",)
IMAGE_MODELS = (
    "cifar_net",
    "densenet121",
    "lenet",
    "mnist_net",
    "mobilenet_v2",
    "preact_resnet18",
    "resnet18",
    "resnet34",
    "resnet50",
    "vgg11",
    "vgg16",
    "vgg19",
)
"""Of DISTIL's networks, `train.py` reaches resnet18 and two_layer_net alone."""
VECTOR_KEYS = ("input_dim", "hidden_units_1")  # of `model`; without them DISTIL makes no network
IMAGE_KEY = "channel"


def _same(names: Any) -> dict[str, str]:
    return {name: name for name in names}


def _one_less(value: int) -> int:
    return value - 1


_LOGGED = "without effect: a run always keeps its records"

OPTIMIZERS: dict[str, dict[str, Any]] = {
    # torch.optim.SGD adds the decayed weights to the gradient before the momentum, as `l2` does.
    "sgd": {
        "optimizer": "sgd",
        "optimizer_options": {"momentum": 0.9},
        "l2": 5e-4,
        "schedule": "cosine",
    },
    "adam": {"optimizer": "adam"},
}

KEYS: dict[str, Key] = {
    "model": Table(
        {
            "architecture": Choice("model.name", _same(VECTOR_MODELS + IMAGE_MODELS)),
            "target_classes": Option("data.num_classes", integer(1)),
            **{key: Option(key, integer(1)) for key in (*VECTOR_KEYS, IMAGE_KEY)},
        },
        required=("architecture", "target_classes"),
    ),
    "train_parameters": Table(
        {
            "lr": Option("learner.learning_rate", positive),
            "batch_size": Option("learner.batch_size", integer(1)),
            "n_epoch": Option("learner.max_epochs", integer(2), _one_less),
            "max_accuracy": Option("learner.max_accuracy", positive),
            "isreset": Option("learner.warm_start", flag, lambda reset: not reset),
            "optimizer": Choice("optimizer", OPTIMIZERS),
            "min_diff_acc": Option("learner.min_gain", at_least(0.0)),
            "window_size": Option("learner.window", integer(1)),
            "criterion": Refused("a function of PyTorch; the loss is the cross-entropy"),
            "device": Unread("without effect: JAX chooses the devices (JAX_PLATFORMS)", text),
            "islogs": Unread(_LOGGED, flag),
            "isverbose": Unread(_LOGGED, flag),
            "logs_location": Unread(_LOGGED, text),
        },
        required=("lr", "n_epoch"),
    ),
    "active_learning": Table(
        {
            "strategy": Option("strategy", text),
            "strategy_args": Option("strategy_args", check_table),
            "budget": Option("strategy.budget", integer(1)),
            "rounds": Option("strategy.rounds", integer(2), _one_less),
            "initial_points": Option("strategy.initial", integer(1)),
        },
        required=("strategy", "budget", "rounds", "initial_points"),
    ),
    "dataset": Table({"name": Choice("data.source", _same(DATA_SETS))}, required=("name",)),
    "logs": Unread(_LOGGED, anything),
}
REQUIRED = ("model", "train_parameters", "active_learning", "dataset")
DEFAULTS: dict[str, Any] = {  # of `data_train`, and the seed of `train.py`
    "learner.batch_size": 1,
    "learner.max_accuracy": 0.95,
    "learner.warm_start": False,
    "learner.min_gain": 0.001,
    "learner.window": 10,
    "learner.restart_every": 50,
    "learner.restart_below": 0.2,
    "optimizer": OPTIMIZERS["sgd"],
    "strategy_args": {},
    "seeds": 1,
    "seed": 42,
}
RUNNER_ARGS = {"GLISTER": {"typeOf": "Diversity", "lam": 10}}
"""What `train.py` gives a strategy beside its `strategy_args`, which may say otherwise here."""
