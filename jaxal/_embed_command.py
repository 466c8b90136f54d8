"""The command `jaxal embed CONFIG --out DIR`: features written to a pool on disk."""

import argparse
from pathlib import Path
from typing import Any

from jaxal._commands import add_command, add_overrides
from jaxal._distributed import add_flags, joined

_EXAMPLES = """\
examples:
  jaxal embed configs/digits.toml --out embeddings
  jaxal embed configs/digits.toml --out embeddings-test --test
  jaxal embed configs/digits.toml --out embeddings --encoder my_encoders:clip
"""


def add_embed(commands: Any) -> None:
    """Adds the command to the others.

    Args:
      commands: what `add_subparsers` returned.
    """
    embed = add_command(
        commands,
        "embed",
        _embed,
        help="write features of a config's data to a pool on disk",
        description="Write the features of a config's pool, and its labels, to a pool on disk:\n"
        "those of the config's model, fitted to the initial rows of the first seed, or of an\n"
        "encoder. After an interrupt the same command goes on with the first unfinished file.\n"
        "With --distributed, as many processes share the files.",
        examples=_EXAMPLES,
    )
    embed.add_argument("config", metavar="CONFIG", type=Path, help="as of `jaxal run`")
    embed.add_argument(
        "--out", metavar="DIR", type=Path, required=True, help="the folder of the pool"
    )
    embed.add_argument(
        "--encoder",
        metavar="MODULE:FUNCTION",
        help="what makes features [n, ...] of a batch of inputs [n, ...], in place of the model",
    )
    embed.add_argument("--test", action="store_true", help="the rows to test on, not the pool's")
    embed.add_argument(
        "--shard-rows", metavar="N", type=int, default=2**18, help="rows of a file (default: 2**18)"
    )
    add_overrides(embed)
    add_flags(embed)
    embed.add_argument("--quiet", "-q", action="store_true", help="print only the folder's path")
    embed.add_argument("--traceback", action="store_true", help="show where an error came from")


def _embed(arguments: argparse.Namespace) -> int:
    from jaxal._cache import set_up_cache

    set_up_cache()
    with joined(arguments):
        return _embed_here(arguments)


def _embed_here(arguments: argparse.Namespace) -> int:
    from rich.console import Console

    from jaxal import experiment, processes, report
    from jaxal.report._text import printable

    with processes.agreed():
        config = experiment.load(arguments.config, arguments.overrides)
    speaks = processes.is_first()
    console = Console(stderr=True, quiet=arguments.quiet or not speaks)
    with report.rows_progress(console) as begun:
        pool = experiment.embed(
            config,
            arguments.out,
            encoder=arguments.encoder,
            test=arguments.test,
            shard_rows=arguments.shard_rows,
            begun=begun,
        )
    shape = " x ".join(map(str, pool.shape))
    console.print(f"{shape} {pool.dtype}, {len(pool.manifest.shards)} files", highlight=False)
    if speaks:
        print(printable(pool.path))
    return 0
