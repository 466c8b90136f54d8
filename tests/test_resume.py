"""Runs that are killed and resumed: the thin form of `sweep_resume.py`."""

import random

import pytest
import sweep_resume


@pytest.mark.slow
@pytest.mark.parametrize("devices", [[1], [8, 2]], ids=["one device", "eight and two"])
def test_killed_runs_are_resumed_bit_for_bit(devices):
    kills = len(sweep_resume.PLACES)
    assert sweep_resume.sweep(kills, devices, 2, random.Random(1)) >= 1
