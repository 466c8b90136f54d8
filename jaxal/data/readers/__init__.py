"""Readers of data sources: one function a kind, registered by name."""

from jaxal.data.readers import npz, sklearn  # noqa: F401  # to register them
from jaxal.data.readers.registry import Table, read, source, sources

__all__ = ["Table", "read", "source", "sources"]
