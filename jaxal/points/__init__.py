"""Points that rules select among: feature vectors, gradient embeddings, distances, similarities."""
