"""What importing costs, and that lazy names are like any others."""

import ast
import importlib
import inspect
import os
import pathlib
import subprocess
import sys

import pytest

import jaxal
from jaxal import models

ROOT = pathlib.Path(__file__).parent.parent
HEAVY = {"flax", "optax", "sklearn", "matplotlib", "rich", "tomli_w", "orbax"}
HEAVY |= {"tensorflow_datasets", "array_record", "PIL", "pyarrow", "tokenizers", "datasets"}


def python(code, *options):
    """What a fresh interpreter prints."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    done = subprocess.run(
        [sys.executable, "-W", "error", *options, "-c", code],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": path},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def loaded(code):
    """Top-level modules that are loaded when `code` has run."""
    printed = python(f"{code}\nimport sys\nprint(*{{name.split('.')[0] for name in sys.modules}})")
    return set(printed.splitlines()[-1].split())


def processor_seconds(codes, times=3):
    """The least processor time of each in a fresh interpreter, start included.

    In turns, so that a machine that is busy for a while is so for all of them.
    """
    clock = "\nimport time\nprint(time.process_time())"
    turns = [[float(python(code + clock).splitlines()[-1]) for code in codes] for _ in range(times)]
    return [min(seconds) for seconds in zip(*turns, strict=True)]


ROOMS = [
    "scores",
    "selection",
    "curation",
    "submodular",
    "greedy.lazy",
    "points.similarity",
    "strategies",
]


def test_packages_load_no_more_than_they_need():
    packages = [f"jaxal.{package}" for package in (*ROOMS, "posterior", "pools", "data")]
    assert not loaded(f"import {', '.join(packages)}") & HEAVY


def test_jaxal_alone_loads_nothing():
    assert not loaded("import jaxal; dir(jaxal); jaxal.__version__") & (HEAVY | {"jax", "numpy"})


def test_every_public_package_is_an_attribute_of_the_one_above(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "docs")
    names = importlib.import_module("names")
    packages = sorted(names.public_modules() - names.INSIDE - {"jaxal", "jaxal.loop"})
    pairs = [tuple(package.rpartition(".")[::2]) for package in packages]
    assert ("jaxal.selection", "certified") in pairs and ("jaxal", "report") in pairs
    python(f"import jaxal\nfor above, name in {pairs}:\n  assert name in dir(eval(above)), name")
    assert {name for above, name in pairs if above == "jaxal"} <= {*jaxal.__all__}


@pytest.mark.slow
def test_only_what_needs_them_loads_orbax_and_scipy():
    code = "import jaxal.experiment, jaxal.labeling, jaxal.report; jaxal.iterate; jaxal.Learner"
    assert not loaded(code) & {"orbax", "scipy"}


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["run", "--help"], ["data", "--help"], ["plan", "--help"], ["--version"]],
)
def test_help_loads_nothing(arguments):
    code = f"import jaxal.cli\ntry:\n  jaxal.cli.main({arguments})\nexcept SystemExit:\n  pass"
    assert not loaded(code) & (HEAVY | {"jax", "numpy"})


def test_module():
    assert python(
        "import runpy, sys; sys.argv[1:] = ['--version']\n"
        "try: runpy.run_module('jaxal', run_name='__main__')\n"
        "except SystemExit as end: print(end.code)"
    ).endswith("\n0\n")


@pytest.mark.slow
def test_times(monkeypatch, tmp_path):
    """Measured at 1.0 times `import jax` and 0.05 s; the margins are for busy machines."""
    # Users' Python keeps the bytecode of what it has imported.
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    monkeypatch.setenv("PYTHONPYCACHEPREFIX", str(tmp_path))
    packages = "import jaxal.scores, jaxal.selection, jaxal.submodular"
    help_text = "import jaxal.cli; jaxal.cli.main([])"
    jax_alone, imports, printed = processor_seconds(["import jax", packages, help_text])
    assert imports < 1.5 * jax_alone
    assert printed < 0.4


@pytest.mark.parametrize("package", [jaxal, models], ids=lambda package: package.__name__)
def test_lazy_names_are_those_that_type_checkers_see(package):
    for name in package.__all__:
        assert getattr(package, name) is not None
        assert name in dir(package)
    assert len(set(package.__all__)) == len(package.__all__)
    tree = ast.parse(inspect.getsource(package))
    [block] = [node for node in tree.body if isinstance(node, ast.If)]
    typed = {
        alias.name: f"{node.module}"
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert typed.keys() == set(package.__all__)
    for name, module in typed.items():
        assert getattr(package, name) is getattr(sys.modules[module], name)


def test_a_name_that_is_not_there():
    with pytest.raises(AttributeError, match="module 'jaxal' has no attribute 'acquires'"):
        getattr(jaxal, "acquire" + "s")
    with pytest.raises(ImportError, match="acquires"):
        exec("from jaxal import acquires")


@pytest.mark.slow
def test_from_imports_and_modules_with_another_home():
    printed = python(
        "from jaxal import acquire, devices, scores\n"
        "import jaxal, jaxal.loop, jaxal.pools.devices\n"
        "print(acquire is jaxal.loop.acquire, devices is jaxal.pools.devices is jaxal.devices)"
    )
    assert printed == "True True\n"
    printed = python("from jaxal import *; print(step.__name__, scores.__name__)")
    assert printed == "step jaxal.scores\n"
