"""What selection rules select among: feature vectors and gradient embeddings, distances, similarities."""
