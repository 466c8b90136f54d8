"""Areas under the learning curves of a run, each strategy seed by seed against random selection.

`jaxal run configs/digits_all.toml --out runs/digits_all`, then
`python benchmarks/digits_all.py --run runs/digits_all`.
"""

import common
import numpy as np

from jaxal import report
from jaxal.records import read
from jaxal.report.learning_curves import area, curves_by_seed, grouped


def main():
    options = common.arguments(__doc__, run="runs/digits_all")
    records = read(f"{options.run}/history.jsonl")
    paired = {each.strategy: each for each in report.paired_differences(records)}
    cases = {}
    for name, kept in grouped("records", records).items():
        areas = [float(area(curve)) for curve in curves_by_seed(kept).values()]
        labels = sorted({record.labels for record in kept})
        last = [record.test_accuracy for record in kept if record.labels == labels[-1]]
        cases[name] = {
            "labels": labels,
            "areas": areas,
            "area": float(np.mean(areas)),
            "last_accuracy": float(np.mean(last)),
        }
        if name in paired:
            each = paired[name]
            cases[name] |= {
                "difference": each.difference,
                "low": each.low,
                "high": each.high,
                "told_apart": each.told_apart,
            }
    ordered = dict(sorted(cases.items(), key=lambda case: -case[1]["area"]))
    common.write("digits_all", options.out, ordered)


if __name__ == "__main__":
    main()
