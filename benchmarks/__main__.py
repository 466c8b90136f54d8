"""Jaxal beside other packages: the environment of these, measurements, and tables of them.

python -m benchmarks peers                       # makes .peers/, some minutes
python -m benchmarks run k_center badge          # --size small|medium|large
python -m benchmarks table --into docs/guide/benchmarks.md
python -m benchmarks table --short --into README.md
"""

import argparse
import json
import os
import pathlib
import sys

from benchmarks.harness import conductor, machine, peers, players, table
from benchmarks.topics import TOPICS

ROOT = pathlib.Path(__file__).resolve().parent
PEERS = ROOT.parent / ".peers"


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = top.add_subparsers(dest="command", required=True)
    make = commands.add_parser("peers", help="make the environment of the other packages")
    make.add_argument("--into", type=pathlib.Path, default=PEERS)
    make.add_argument(
        "--source", action="append", default=[], metavar="PACKAGE=WHERE", type=source,
        help="a folder or an address that pip installs a package from",
    )  # fmt: skip
    run = commands.add_parser("run", help="measure")
    run.add_argument("topics", nargs="*", metavar="TOPIC", help=f"of {', '.join(TOPICS)}")
    run.add_argument("--size", choices=list(table.ORDER), default="small")
    run.add_argument("--peers", type=pathlib.Path, default=PEERS, help="their environment")
    run.add_argument("--cores", type=cores, help="such as 0,1; one of those allowed by default")
    run.add_argument("--repeats", type=int, default=5, help="warm rounds")
    run.add_argument("--limit", type=float, default=120.0, help="seconds for a first answer")
    run.add_argument("--spend", type=float, default=30.0, help="seconds of warm runs of a side")
    run.add_argument("--out", type=pathlib.Path, default=ROOT / "results")
    show = commands.add_parser("table", help="write markdown of what was measured")
    show.add_argument("--results", type=pathlib.Path, default=ROOT / "results")
    show.add_argument("--into", type=pathlib.Path, help="a page with marks; printed if not given")
    show.add_argument("--short", action="store_true", help="one line a topic")
    return top


def source(text: str) -> tuple[str, str]:
    package, mark, where = text.partition("=")
    if not (package and mark and where):
        raise argparse.ArgumentTypeError(f"expected PACKAGE=WHERE, got {text!r}")
    return package, where


def cores(text: str) -> tuple[int, ...]:
    """Numbers of cores that this process may run on."""
    allowed = os.sched_getaffinity(0)
    numbers = text.split(",")
    if not all(number.isdecimal() and int(number) in allowed for number in numbers):
        raise argparse.ArgumentTypeError(f"expected cores of {sorted(allowed)}, got {text!r}")
    return tuple(int(number) for number in numbers)


def run(options: argparse.Namespace) -> None:
    unknown = [name for name in options.topics if name not in TOPICS]
    if unknown:
        raise SystemExit(f"topics: expected some of {', '.join(TOPICS)}, got {unknown[0]!r}")
    python = peers.python_of(options.peers)
    settings = players.Settings(
        python if python.exists() else None,
        missing=peers.missing(options.peers),
        cores=options.cores or (min(os.sched_getaffinity(0)),),
        repeats=options.repeats,
        limit=options.limit,
        spend=options.spend,
    )
    settings.say("the machine's own rates")
    ceilings = machine.ceilings(settings)
    options.out.mkdir(parents=True, exist_ok=True)
    for name in options.topics or TOPICS:
        record = conductor.compare(name, options.size, settings) | {"ceilings": ceilings}
        device = next(iter(record["sides"].values())).get("device", "none")
        device = device.lower().replace(" ", "-")
        path = options.out / f"peers-{name}-{options.size}-{device}.json"
        path.write_text(json.dumps(record, indent=1) + "\n")
        settings.say(f"  {path}")


def write_table(options: argparse.Namespace) -> None:
    order = list(TOPICS)
    records = table.read(options.results, order)
    text = table.short(records) if options.short else table.markdown(records, order)
    if options.into is None:
        print(text)
    else:
        options.into.write_text(table.into(options.into.read_text(), text))


def main() -> None:
    options = parser().parse_args()
    if options.command == "peers":
        failed = peers.make(
            options.into, dict(options.source), lambda line: print(line, flush=True)
        )
        sys.exit(bool(failed))
    {"run": run, "table": write_table}[options.command](options)


if __name__ == "__main__":
    main()
