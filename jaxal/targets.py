"""What programs are compiled for, where the best form of one depends on it."""

import jax

_platform: str | None = None


def is_gpu() -> bool:
    """Whether programs are for a GPU: those of JAX's default backend are, or all that follow."""
    return _is("gpu")


def is_tpu() -> bool:
    """Whether programs are for a TPU, likewise."""
    return _is("tpu")


def is_cpu() -> bool:
    """Whether programs are for CPUs, likewise."""
    return _is("cpu")


def _is(platform: str) -> bool:
    return platform == (_platform or jax.default_backend())


def trace_for(platform: str) -> None:
    """All programs are for "gpu" or "tpu" from here on, which need not be here.

    To be called before any is traced: what is traced already stays as it is.
    """
    global _platform
    _platform = platform
