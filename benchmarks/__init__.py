"""Measurements: `python -m benchmarks` beside other packages, and scripts of single questions."""
