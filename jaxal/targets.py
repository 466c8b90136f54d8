"""What programs are compiled for, where the best form of one depends on it."""

import jax

_for_gpu = False


def is_gpu() -> bool:
    """Whether programs are for a GPU: those of JAX's default backend are, or all that follow."""
    return _for_gpu or jax.default_backend() == "gpu"


def compile_for_gpu() -> None:
    """All programs are for a GPU from here on, which need not be here; before any is traced."""
    global _for_gpu
    _for_gpu = True
