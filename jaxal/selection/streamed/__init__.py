"""Selection from pools that are read: pass after pass over blocks, in memory that does not grow."""

from jaxal.selection.streamed._k_means import StreamedClusters, k_means, k_means_centers

__all__ = ["StreamedClusters", "k_means", "k_means_centers"]
