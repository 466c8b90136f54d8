"""Strict JAX settings for every test, and eight devices on the CPU."""

import gc
import importlib.metadata
import itertools
import os
import pathlib

# Programs of a test run for milliseconds and compile for seconds: half as long with these.
# For the programs that users run: JAX_DISABLE_MOST_OPTIMIZATIONS=0 pytest
QUICK_COMPILER = "--xla_cpu_parallel_codegen_split_count=1"
if importlib.metadata.version("jaxlib").startswith("0.10."):  # later ones end at flags they lack
    QUICK_COMPILER += " --xla_cpu_use_fusion_emitters=false"
if os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1") != "0":
    os.environ["XLA_FLAGS"] = f"{QUICK_COMPILER} {os.environ.get('XLA_FLAGS', '')}"

import jax  # noqa: E402
import pytest  # noqa: E402

jax.config.update("jax_num_cpu_devices", 8)
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_debug_key_reuse", True)


def pytest_configure(config):
    """Nearly all of the time goes into compiling: workers and later runs share what is compiled."""
    cache = getattr(config, "cache", None)
    if cache is None:  # switched off by -p no:cacheprovider
        return
    folder = cache.mkdir("compiled")
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


@pytest.fixture
def empty_folder(monkeypatch, tmp_path):
    """The working directory is an empty folder, and data are looked for nowhere else."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("JAXAL_DATA", raising=False)


def pytest_collection_modifyitems(config, items):
    """What compiles for accelerators takes a quarter of an hour: it runs if it is asked for."""
    if "accelerator_compiler" in config.getoption("markexpr"):
        return
    left_out = [item for item in items if item.get_closest_marker("accelerator_compiler")]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in set(left_out)]


gc.set_threshold(200_000, 50, 50)  # tracing makes many objects, and few cycles

MAPS = pathlib.Path("/proc/self/maps")  # on Linux
tests = itertools.count(1)


def pytest_runtest_teardown(item, nextitem):
    """Forgets compiled programs before there are too many: each takes some memory maps of its own.

    Linux gives a process 65,530 maps; where they run out, the compiler crashes.
    """
    if next(tests) % 10 == 0 and MAPS.exists() and MAPS.read_bytes().count(b"\n") > 30_000:
        jax.clear_caches()
        gc.collect()
