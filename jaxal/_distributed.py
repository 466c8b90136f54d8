"""A command that several processes run together: how they find each other, and how they end."""

import argparse
import contextlib
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterator

GRACE = 2.0
"""Seconds that the first process, which the others depend on, waits for them to end as well."""


def add_flags(command: argparse.ArgumentParser) -> None:
    """Adds the options that say where the other processes are."""
    command.add_argument(
        "--distributed",
        action="store_true",
        help="one of several processes that do this together, one a host; "
        "they find each other on GKE, under Slurm or MPI, and on TPU pods, or as told:",
    )
    told = "where process 0 can be reached (default: JAX_COORDINATOR_ADDRESS)"
    command.add_argument("--coordinator", metavar="HOST:PORT", help=told)
    told = "how many processes there are (default: JAX_NUM_PROCESSES)"
    command.add_argument("--processes", metavar="N", type=int, help=told)
    told = "the number of this one, from 0 (default: JAX_PROCESS_ID)"
    command.add_argument("--process", metavar="I", type=int, help=told)


@contextlib.contextmanager
def joined(arguments: argparse.Namespace) -> Iterator[None]:
    """Makes this process one of several, if it is to be, before it uses JAX.

    Raises:
      ValueError: an option without --distributed, or nothing says where the others are.
      ConnectionError: inside the block, another process has ended.
    """
    from jaxal import processes

    if arguments.distributed:
        _start(arguments.coordinator, arguments.processes, arguments.process)
    for name in ("coordinator", "processes", "process"):
        if getattr(arguments, name) is not None and not arguments.distributed:
            raise ValueError(f"--{name}: needs --distributed")
    with processes.loss_explained():
        yield


def _start(coordinator: str | None, count: int | None, number: int | None) -> None:
    import jax

    from jaxal import processes

    count = _from_environment("JAX_NUM_PROCESSES") if count is None else count
    number = _from_environment("JAX_PROCESS_ID") if number is None else number
    # It would take SIGTERM for itself, by which batch systems end a run.
    jax.config.update("jax_enable_preemption_service", False)
    try:
        jax.distributed.initialize(coordinator, count, number)
    except ValueError as error:
        raise ValueError(
            f"--distributed: {error} Expected a cluster that JAX finds (GKE, Slurm, MPI, a TPU "
            "pod), or --coordinator, --processes and --process"
        ) from error
    if processes.mixes_up_exchanges():
        jax.config.update("jax_enable_compilation_cache", False)


def _from_environment(name: str) -> int | None:
    value = os.environ.get(name)
    if value is not None and not value.isdecimal():
        raise ValueError(f"{name}: expected an integer, got {value!r}")
    return None if value is None else int(value)


def run_to_end(command: Callable[[], int]) -> int:
    """The exit status of a command; after an error, this process ends without waiting for others.

    They see at once that it is gone. JAX's own end would wait for minutes until they end too.
    """
    from jaxal import processes

    try:
        status = command()
    except Exception:
        traceback.print_exc()
        status = 1
    if status and processes.are_several():
        sys.stdout.flush()
        sys.stderr.flush()
        if processes.is_first():
            time.sleep(GRACE)
        os._exit(status)
    return status
