"""Readers of data sources: one function a kind, registered by name."""

from jaxal.data.readers import (  # noqa: F401  # to register them
    csv,
    huggingface,
    images,
    items,
    libsvm,
    named,
    npy,
    npz,
    parquet,
    python,
    sklearn,
    synthetic,
    text,
    tfds,
)
from jaxal.data.readers.registry import Table, read, source, sources

__all__ = ["Table", "read", "source", "sources"]
