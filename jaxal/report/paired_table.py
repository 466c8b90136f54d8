"""The table of paired differences: what is ahead of what, and of what that is not known."""

import math
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from jaxal.report._text import printable
from jaxal.report.paired import POWER, Paired
from jaxal.report.table import plain_table


def paired_table(paired: Sequence[Paired], console: Console, *, regression: bool = False) -> Table:
    """Builds the table of paired differences: one row per comparison.

    Args:
      paired: of `paired_differences`, at its level and region.
      console: where it will be shown.
      regression: whether the areas are of the logarithm of an error.

    Returns:
      The table: the difference of the areas in points of %, or 100 times by how much the logarithm
      of the RMSE is lower, its interval, the probabilities of worse, same and better, and whether
      the two are told apart.
    """
    one = len({pair.against for pair in paired}) == 1
    whom = f" against {printable(paired[0].against)}" if one and paired else ""
    title = f"Area under the learning curve{whom}, seed by seed, in points of %"
    if regression:
        title = f"By how much log RMSE is lower{whom}, seed by seed, times 100"
    table = plain_table(title=title)
    seeds = sorted({pair.seeds for pair in paired})
    count = " to ".join(str(number) for number in (*seeds[:1], *seeds[1:][-1:]))
    if paired:
        level, region = paired[0].level, 100 * paired[0].region
        table.caption = (
            f"{count} seeds paired; all {len(paired)} intervals hold together with "
            f"{100 * (1 - level):g}% (t, Bonferroni). worse, same, better: probabilities; same is "
            f"within {region:g} point{'s' * (region != 1)}. A number of seeds: so many would tell "
            f"them apart {POWER:.0%} of the time, if they differ as seen."
        )
    table.add_column("strategy", overflow="fold")
    for header in ("difference", "interval", "worse", "same", "better", "told apart"):
        table.add_column(header, justify="right", no_wrap=True)
    for pair in paired:
        name = printable(pair.strategy)
        if not one:
            name += f"\nagainst {printable(pair.against)}"
        numbers = [f"{100 * pair.difference:+.1f}"]
        if math.isinf(pair.high):
            numbers += ["does not vary", "", "", ""]
        else:
            numbers += [f"{100 * pair.low:+.1f} to {100 * pair.high:+.1f}"]
            numbers += [f"{chance:.2f}" for chance in (pair.worse, pair.same, pair.better)]
        table.add_row(Text(name), *numbers, _verdict(pair))
    return table


def _verdict(pair: Paired) -> str:
    if pair.told_apart:
        return "above" if pair.difference > 0 else "below"
    if math.isinf(pair.seeds_needed):
        return "no"
    return f"no; {pair.seeds_needed:.0f} seeds"
