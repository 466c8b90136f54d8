"""Every `>>>` of the package shows what it says."""

import doctest
import importlib
import pkgutil

import pytest
from helpers import quick_first

import jaxal

MODULES = ["jaxal", *(found.name for found in pkgutil.walk_packages(jaxal.__path__, "jaxal."))]


def examples(name):
    module = importlib.import_module(name)
    return [test for test in doctest.DocTestFinder().find(module) if test.examples]


QUICK = ["jaxal.selection._k_center"]


@pytest.mark.parametrize("name", quick_first(MODULES, QUICK))
def test_examples(name):
    runner = doctest.DocTestRunner(verbose=False)
    for test in examples(name):
        assert runner.run(test).failed == 0, test.name


def test_examples_are_found():
    assert examples("jaxal.selection._k_center") and examples("jaxal.scores.uncertainty")
