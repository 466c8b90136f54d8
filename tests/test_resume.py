"""Runs that are killed and resumed: the thin form of `sweep_resume.py`."""

import random

import jax
import pytest
import sweep_resume


@pytest.mark.slow
@pytest.mark.parametrize(("devices", "kills"), [([1], 4), ([8, 2], 3)], ids=["one", "8 and 2"])
def test_killed_runs_are_resumed_bit_for_bit(devices, kills, monkeypatch):
    cache = jax.config.values["jax_compilation_cache_dir"]
    if cache:
        monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", cache)
    assert sweep_resume.sweep(kills, devices, 2, random.Random(1)) >= 1
