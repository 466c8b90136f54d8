"""Points that rules select among: feature vectors, gradient embeddings, distances, similarities."""

from jaxal.points.neighbours import nearest_rows

__all__ = ["nearest_rows"]
