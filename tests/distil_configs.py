"""DISTIL's nine JSON configurations, by their keys and values."""

import json
from typing import Any


def _config(model, data, numbers, strategy, sizes, args, **more):
    budget, rounds, initial = sizes
    return {
        "model": model,
        "train_parameters": {
            **dict(zip(("lr", "batch_size", "n_epoch", "max_accuracy"), numbers, strict=True)),
            "isreset": True,
            "islogs": True,
            "logs_location": "./logs.txt",
            **more.pop("train", {}),
        },
        "active_learning": {
            "strategy": strategy,
            "budget": budget,
            "rounds": rounds,
            "initial_points": initial,
            "strategy_args": args,
        },
        "dataset": {"name": data},
        **more,
    }


def _satimage(strategy):
    return _config(
        {
            "architecture": "two_layer_net",
            "input_dim": 36,
            "target_classes": 10,
            "hidden_units_1": 100,
        },
        "satimage",
        (0.001, 32, 150, 0.95),
        strategy,
        (32, 10, 32),
        {"batch_size": 100, "lr": 0.001},
        logs={"islogs": True, "location": "./logs.txt"},
    )


def _cifar10(strategy):
    return _config(
        {"architecture": "resnet18", "target_classes": 10},
        "cifar10",
        (0.01, 20, 300, 0.99),
        strategy,
        (5000, 15, 5000),
        {"batch_size": 20, "lr": 0.01},
        train={"isverbose": True},
    )


CONFIGS = {
    "config_2lnet_satimage_entropysampling": _satimage("entropy_sampling"),
    "config_2lnet_satimage_randomsampling": _satimage("random_sampling"),
    "config_cifar10_resnet_badge": _cifar10("badge"),
    "config_cifar10_resnet_entropysampling": _cifar10("entropy_sampling"),
    "config_cifar10_resnet_glister": _cifar10("glister"),
    "config_cifar10_resnet_randomsampling": _cifar10("random_sampling"),
    "config_cifar100_resnet_coreset": _config(
        {"architecture": "resnet18", "target_classes": 100},
        "cifar100",
        (0.01, 20, 300, 0.99),
        "coreset",
        (1000, 15, 1000),
        {"batch_size": 20},
        train={"isverbose": True},
    ),
    "config_fmnist_resnet_fass": _config(
        {"architecture": "resnet18", "target_classes": 10, "channel": 1},
        "fmnist",
        (0.01, 64, 150, 0.99),
        "fass",
        (3000, 15, 4000),
        {"batch_size": 64, "submod": "feature_based", "selection_type": "Full"},
    ),
    "config_svhn_resnet_randomsampling": _config(
        {"architecture": "resnet18", "target_classes": 10},
        "svhn",
        (0.01, 64, 150, 0.99),
        "random_sampling",
        (4000, 15, 4000),
        {"batch_size": 64},
    ),
}


def changed(name: str = "config_2lnet_satimage_entropysampling", /, **keys: Any):
    """A configuration with keys replaced: `train_parameters__lr=1`; `...` takes one away."""
    config = json.loads(json.dumps(CONFIGS[name]))
    for path, value in keys.items():
        *sections, last = path.split("__")
        here = config
        for section in sections:
            here = here[section]
        if value is ...:
            del here[last]
        else:
            here[last] = value
    return config
