"""DISTIL's JSON configurations: what becomes of every key, and what is refused."""

import json
from typing import Any

import pytest
from bad_values import NAN
from distil_configs import CONFIGS, changed
from helpers import bad_inputs

from jaxal import data, models
from jaxal.experiment.distil import read_distil
from jaxal.experiment.distil_keys import DATA_SETS, IMAGE_MODELS, KEYS, VECTOR_MODELS
from jaxal.renaming import Table


def table(config, **options):
    return read_distil(json.dumps(config), **options).table


def setting(config, key):
    here = table(config)
    for part in key.split("."):
        here = here[part]
    return here


def test_the_satimage_configuration_is_this_one():
    assert table(CONFIGS["config_2lnet_satimage_entropysampling"]) == {
        "seeds": 1,
        "seed": 42,
        "data": {"source": "satimage", "num_classes": 10},
        "model": {"name": "two_layer_net", "hidden_units": 100},
        "learner": {
            "learning_rate": 0.001,
            "batch_size": 32,
            "max_epochs": 149,
            "max_accuracy": 0.95,
            "window": 10,
            "min_gain": 0.001,
            "warm_start": False,
            "restart_every": 50,
            "restart_below": 0.2,
            "optimizer": "sgd",
            "optimizer_options": {"momentum": 0.9},
            "l2": 5e-4,
            "schedule": "cosine",
            "schedule_epochs": 150,
        },
        "strategy": {"names": ["entropy"], "initial": 32, "budget": 32, "rounds": 9},
        "run": {"batch_size": 100},
    }


@pytest.mark.parametrize("name", CONFIGS)
def test_what_the_nine_have_in_common(name):
    config = CONFIGS[name]
    train, active = config["train_parameters"], config["active_learning"]
    made = table(config)
    assert made["strategy"]["rounds"] == active["rounds"] - 1
    assert made["strategy"]["initial"] == active["initial_points"]
    assert made["strategy"]["budget"] == active["budget"]
    assert made["learner"]["max_epochs"] == train["n_epoch"] - 1
    assert made["learner"]["schedule_epochs"] == train["n_epoch"]
    assert made["learner"]["learning_rate"] == train["lr"]
    assert made["learner"]["max_accuracy"] == train["max_accuracy"]
    assert made["learner"]["batch_size"] == train["batch_size"]
    assert made["run"]["batch_size"] == active["strategy_args"]["batch_size"]
    assert made["data"]["num_classes"] == config["model"]["target_classes"]
    assert made["data"]["source"] == config["dataset"]["name"]
    assert "folder" not in made["data"]


@pytest.mark.parametrize(
    ("name", "strategy", "options"),
    [
        ("config_cifar10_resnet_badge", "badge", None),
        ("config_cifar10_resnet_randomsampling", "random", None),
        ("config_cifar100_resnet_coreset", "core_set", None),
        ("config_fmnist_resnet_fass", "fass", {"function": "facility_location"}),
        (
            "config_cifar10_resnet_glister",
            "glister",
            {"learning_rate": 0.01, "regularizer": "diversity", "strength": 10},
        ),
    ],
)
def test_strategies_of_the_nine(name, strategy, options):
    made = table(CONFIGS[name])["strategy"]
    assert made["names"] == [strategy]
    assert made.get("options") == (None if options is None else {strategy: options})


def test_glister_may_say_otherwise_than_the_runner():
    args = "active_learning__strategy_args"
    config = changed("config_cifar10_resnet_glister", **{args: {"lr": 0.01, "typeOf": "none"}})
    assert setting(config, "strategy.options.glister.regularizer") == "none"


@pytest.mark.parametrize("name", DATA_SETS)
def test_images_are_normalised_and_augmented_as_there(name):
    about = DATA_SETS[name]
    model = {"architecture": "resnet18", "target_classes": about.num_classes}
    if not about.is_image:
        model |= {"input_dim": about.shape[0], "hidden_units_1": 5, "architecture": "two_layer_net"}
    made = table(changed(model=model, dataset__name=name))
    if not about.is_image:
        assert "augmentation" not in made and "normalization" not in made["data"]
        return
    assert made["augmentation"] == {"crop": 4, "flip": name != "mnist"}
    assert made["data"]["normalization"] == name


HONOURED = {  # key -> its value there, the setting here and its value
    "model.architecture": ("two_layer_net", "model.name", "two_layer_net"),
    "model.target_classes": (12, "data.num_classes", 12),
    "model.input_dim": (36, "data.source", "satimage"),  # it agrees with the data
    "model.hidden_units_1": (7, "model.hidden_units", 7),
    "train_parameters.lr": (0.5, "learner.learning_rate", 0.5),
    "train_parameters.batch_size": (7, "learner.batch_size", 7),
    "train_parameters.n_epoch": (7, "learner.max_epochs", 6),
    "train_parameters.max_accuracy": (0.5, "learner.max_accuracy", 0.5),
    "train_parameters.isreset": (False, "learner.warm_start", True),
    "train_parameters.optimizer": ("adam", "learner.optimizer", "adam"),
    "train_parameters.min_diff_acc": (0.5, "learner.min_gain", 0.5),
    "train_parameters.window_size": (7, "learner.window", 7),
    "active_learning.strategy": ("margin_sampling", "strategy.names", ["margin"]),
    "active_learning.strategy_args": ({"batch_size": 7}, "run.batch_size", 7),
    "active_learning.budget": (7, "strategy.budget", 7),
    "active_learning.rounds": (7, "strategy.rounds", 6),
    "active_learning.initial_points": (7, "strategy.initial", 7),
    "dataset.name": ("satimage", "data.source", "satimage"),
}
UNREAD = {  # without effect, and said so
    "train_parameters.device": "cuda",
    "train_parameters.islogs": True,
    "train_parameters.isverbose": True,
    "train_parameters.logs_location": "logs.txt",
    "logs": {"islogs": True},
}
ELSEWHERE = {"model.channel", "train_parameters.criterion"}  # of images; refused


def test_the_tables_above_hold_every_key():
    known = set()
    for section, key in KEYS.items():
        inner = [f"{section}.{name}" for name in key.keys] if isinstance(key, Table) else [section]
        known |= set(inner)
    assert known == HONOURED.keys() | UNREAD.keys() | ELSEWHERE


@pytest.mark.parametrize("key", HONOURED)
def test_keys_that_are_honoured(key):
    value, here, expected = HONOURED[key]
    assert setting(changed(**{key.replace(".", "__"): value}), here) == expected


@pytest.mark.parametrize("key", UNREAD)
def test_keys_without_effect_are_told(key):
    config = changed(**{key.replace(".", "__"): UNREAD[key]})
    translation = read_distil(json.dumps(config))
    assert translation.table == table(changed())
    assert any(key in note.split(":")[0].split(", ") for note in translation.notes)


def test_defaults_are_those_of_the_training_loop():
    train = {"lr": 0.1, "n_epoch": 3}
    learner = table(changed(train_parameters=train, active_learning__strategy_args=...))["learner"]
    assert (learner["batch_size"], learner["max_accuracy"], learner["window"]) == (1, 0.95, 10)
    assert (learner["min_gain"], learner["warm_start"]) == (0.001, False)
    assert (learner["restart_every"], learner["restart_below"]) == (50, 0.2)
    assert (learner["optimizer"], learner["schedule"]) == ("sgd", "cosine")
    adam = table(changed(train_parameters={**train, "optimizer": "adam"}))["learner"]
    assert adam["optimizer"] == "adam"
    assert not {"schedule", "schedule_epochs", "l2", "optimizer_options"} & adam.keys()


def test_networks_and_normalisations_are_there():
    missing = {*IMAGE_MODELS, *VECTOR_MODELS} - {*models.names()}
    if missing:
        pytest.skip(f"the models {', '.join(sorted(missing))} are not there")
    constants = getattr(data, "NORMALIZATIONS", None)
    if constants is None:
        pytest.skip("data.NORMALIZATIONS is not there")
    assert {name for name, about in DATA_SETS.items() if about.is_image} <= {*constants}
    model = models.make("two_layer_net", 10, hidden_units=100)
    assert model is models.make("two_layer_net", 10, hidden_units=100)


def refused(name: Any = "config_2lnet_satimage_entropysampling", **keys: Any):
    return lambda: table(changed(name, **keys))


def written_as(text):
    return lambda: read_distil(text)


RESNET = {"architecture": "resnet18", "target_classes": 10}
CIFAR = "config_cifar10_resnet_badge"
ARGS = "active_learning__strategy_args"


@bad_inputs(
    {
        "no JSON": (written_as("{'a': 1}"), ValueError, "expected JSON, got Expecting property"),
        "TOML": (written_as("[model]\nname = 'x'"), ValueError, "expected JSON, got"),
        "empty": (written_as(""), ValueError, "expected JSON, got"),
        "endless": (written_as("[" * 100_000), ValueError, "expected JSON, got .*recursion"),
        "a list": (written_as("[]"), TypeError, "settings: expected a table of keys, got"),
        "a key twice": (
            written_as('{"model": {"channel": 1, "channel": 2}}'),
            ValueError,
            "channel: expected each key once",
        ),
        "another system's": (written_as('{"name": "x"}'), ValueError, "model: missing"),
        "unknown section": (refused(modle={}), ValueError, "modle: unknown key; .*'model'"),
        "no section": (refused(dataset=...), ValueError, "dataset: missing"),
        "section as value": (refused(dataset=3), TypeError, "dataset: expected a table.*got 3"),
        "unknown key": (
            refused(train_parameters__n_epochs=3),
            ValueError,
            "train_parameters.n_epochs: unknown key; did you mean 'n_epoch'",
        ),
        "no rate": (refused(train_parameters__lr=...), ValueError, "train_parameters.lr: missing"),
        "no epochs": (
            refused(train_parameters__n_epoch=1),
            ValueError,
            "train_parameters.n_epoch: expected an integer >= 2, got 1",
        ),
        "a rate in words": (
            refused(train_parameters__lr="0.1"),
            TypeError,
            "train_parameters.lr: expected a number above 0, got '0.1'",
        ),
        "a rate of NaN": (
            refused(train_parameters__lr=NAN),
            ValueError,
            "train_parameters.lr: expected a number above 0, got nan",
        ),
        "a flag as number": (
            refused(train_parameters__isreset=1),
            TypeError,
            "train_parameters.isreset: expected True or False, got 1",
        ),
        "a flag in words, unread": (
            refused(train_parameters__islogs="yes"),
            TypeError,
            "train_parameters.islogs: expected True or False, got 'yes'",
        ),
        "a batch of floats": (
            refused(train_parameters__batch_size=32.0),
            TypeError,
            "train_parameters.batch_size: expected an integer, got 32.0",
        ),
        "no window": (
            refused(train_parameters__window_size=0),
            ValueError,
            "train_parameters.window_size: expected an integer >= 1, got 0",
        ),
        "unknown optimizer": (
            refused(train_parameters__optimizer="adamw"),
            ValueError,
            "train_parameters.optimizer: 'adamw' is unknown; did you mean 'adam'",
        ),
        "a loss": (
            refused(train_parameters__criterion="mse"),
            ValueError,
            "train_parameters.criterion: cannot be honoured: a function of PyTorch",
        ),
        "one round": (
            refused(active_learning__rounds=1),
            ValueError,
            "active_learning.rounds: expected an integer >= 2, got 1",
        ),
        "unknown strategy": (
            refused(active_learning__strategy="entropy_smapling"),
            ValueError,
            "active_learning.strategy: 'entropy_smapling' .*mean 'entropy_sampling'",
        ),
        "a strategy's number": (
            refused(active_learning__strategy=3),
            TypeError,
            "active_learning.strategy: expected a string, got 3",
        ),
        "unknown argument": (
            refused(**{ARGS: {"batchsize": 3}}),
            ValueError,
            "active_learning.strategy_args.batchsize: unknown key; .*'batch_size'",
        ),
        "a bad argument": (
            refused(active_learning__strategy="bald_dropout", **{ARGS: {"n_drop": -1}}),
            ValueError,
            "active_learning.strategy_args.n_drop: expected an integer >= 1, got -1",
        ),
        "arguments as value": (
            refused(**{ARGS: 3}),
            TypeError,
            "active_learning.strategy_args: expected a table of keys, got 3",
        ),
        "unknown data": (
            refused(dataset__name="cifar"),
            ValueError,
            "dataset.name: 'cifar' is unknown; did you mean 'cifar10'",
        ),
        "unknown network": (
            refused(model__architecture="resnet19"),
            ValueError,
            "model.architecture: 'resnet19' is unknown; did you mean 'resnet18'",
        ),
        "images for vectors": (
            refused(dataset__name="mnist"),
            ValueError,
            "model.architecture: two_layer_net takes vectors, and mnist holds images",
        ),
        "vectors for images": (
            refused(model=RESNET),
            ValueError,
            "model.architecture: resnet18 takes images, and satimage holds vectors",
        ),
        "another width": (
            refused(model__input_dim=35),
            ValueError,
            "model.input_dim: expected 36, the columns of satimage, got 35",
        ),
        "no width": (refused(model__input_dim=...), ValueError, "model.input_dim: missing"),
        "no hidden units": (
            refused(model__hidden_units_1=...),
            ValueError,
            "model.hidden_units_1: missing; two_layer_net needs it",
        ),
        "channels of vectors": (
            refused(model__channel=1),
            ValueError,
            "model.channel: two_layer_net does not take it",
        ),
        "hidden units of images": (
            refused(CIFAR, model={**RESNET, "hidden_units_1": 3}),
            ValueError,
            "model.hidden_units_1: resnet18 does not take it",
        ),
        "other channels": (
            refused(CIFAR, model={**RESNET, "channel": 1}),
            ValueError,
            "model.channel: expected 3, the channels of cifar10, got 1",
        ),
        "too few classes": (
            refused(model__target_classes=5),
            ValueError,
            "model.target_classes: expected at least 6, the classes of satimage, got 5",
        ),
    }
)
def test_bad_input(call, error, message):
    with pytest.raises(error, match=f"^{message}"):
        call()
