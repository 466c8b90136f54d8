"""Rows that an int8 copy leaves open for MaxHerding: why there is no certificate of it.

A row's gain is the mean, over all rows, of how much nearer it brings them under a Gaussian kernel.
A copy whose rows are off by e changes a kernel by at most its steepest slope times the errors of
both rows, and so bounds every gain; open is each row whose upper bound is not below the best lower
bound. Digits, divided by their lengths; the picks are those of the exact gains.

    python benchmarks/kernel_bound.py
"""

import common
import numpy as np
from sklearn.datasets import load_digits

AFTER = (0, 1, 3, 10, 30)
LEVELS = 254  # steps of a feature in int8


def copy_errors(points):
    """How far the codes of int8 are off, [N]."""
    low, high = points.min(axis=0), points.max(axis=0)
    step = (high - low) / LEVELS
    codes = np.round((points - low) / np.where(step > 0, step, 1.0))
    return np.linalg.norm(points - low - codes * step, axis=1)


def open_rows(points, bandwidth):
    """How many rows are open before the picks of AFTER, with exp(-d^2 / (2 bandwidth^2))."""
    kernel = np.exp(-np.maximum(2 - 2 * points @ points.T, 0.0) / (2 * bandwidth**2))
    errors = copy_errors(points)
    slope = np.exp(-0.5) / bandwidth  # the largest, at a distance of the bandwidth
    best, found = np.zeros(len(points)), {}
    for count in range(max(AFTER) + 1):
        gains = np.maximum(kernel - best[None, :], 0.0).mean(axis=1)
        if count in AFTER:
            # Of the kernel to what is picked already too, which is read, and so not off itself.
            off = slope * (errors + errors.mean() + (errors.mean() if count else 0.0))
            found[f"open before pick {count + 1}"] = int((gains + off >= (gains - off).max()).sum())
        best = np.maximum(best, kernel[np.argmax(gains)])
    return {"rows": len(points), "mean_error": float(errors.mean()), **found}


def main():
    options = common.arguments(__doc__)
    points, _ = load_digits(return_X_y=True)
    points = points / np.linalg.norm(points, axis=1, keepdims=True)
    cases = {f"bandwidth {each}": open_rows(points, each) for each in (0.5, 1.0)}
    common.write("kernel_bound", options.out, cases)


if __name__ == "__main__":
    main()
