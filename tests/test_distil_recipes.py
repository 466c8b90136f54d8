"""DISTIL's settings in jaxal's own form, and a recipe for each of its notebooks."""

import dataclasses
import json
import re
import tomllib
from pathlib import Path

import pytest
from distil_configs import CONFIGS

from jaxal import experiment, strategies
from jaxal.experiment import Config, StrategyConfig
from jaxal.experiment.distil import read_distil

OURS = sorted(Path(__file__).parent.parent.glob("configs/distil/*.toml"))
NINE = [path for path in OURS if f"config_{path.stem}" in CONFIGS]
SECTIONS = {field.name for field in dataclasses.fields(Config)}
FIELDS = {field.name for field in dataclasses.fields(StrategyConfig)}


@pytest.mark.parametrize("path", NINE, ids=lambda path: path.stem)
def test_our_own_form_of_each_says_the_same(path):
    own = tomllib.loads(path.read_text())
    theirs = read_distil(json.dumps(CONFIGS[f"config_{path.stem}"])).table
    if "cifar10_" in path.stem:  # 15 rounds would take 75,000 labels of 50,000
        theirs["strategy"]["rounds"] = 9
    theirs.pop("run")  # rows at once, which change the time alone
    assert own.pop("name") == path.stem
    assert own == theirs


PAGE = (Path(__file__).parent.parent / "configs" / "README.md").read_text()
RECIPES = re.findall(r"^\| `([^|]+)` \| `([\w/]+\.toml)` \| (.*) \|$", PAGE, re.MULTILINE)


@pytest.mark.parametrize(("notebook", "file", "changes"), RECIPES, ids=lambda text: text[:50])
def test_recipes_of_notebooks_load(notebook, file, changes):
    settings = re.findall("`([^`]+)`", changes)
    absent = {re.split("[.=]", setting)[0] for setting in settings} - SECTIONS
    absent |= {"seed_set"} - FIELDS if "strategy.seed_set" in changes else set()
    if absent:
        pytest.skip(f"a config has no {', '.join(sorted(absent))}")
    config = experiment.load(OURS[0].parent.parent / file, settings)
    known = {*strategies.names(), *config.strategy.options}
    assert set(config.strategy.names) <= known
    assert strategies_of(config)


def strategies_of(config):
    """What the names mean, with their options: an unknown one is an error."""
    options = config.strategy.options
    return [
        strategies.make(**{"name": name} | options.get(name, {})) for name in config.strategy.names
    ]


def test_every_notebook_has_a_recipe():
    assert len(RECIPES) == 10 + 38
    assert {Path(link).name for link in re.findall(r"\]\((distil/.*?)\)", PAGE)} >= {
        p.name for p in NINE
    }


def test_all_nine_are_there_in_our_own_form():
    assert len(NINE) == len(CONFIGS) == 9
    for path in OURS:
        assert path.read_text().startswith(f"# jaxal run configs/distil/{path.name}\n")
        assert tomllib.loads(path.read_text())["name"] == path.stem
