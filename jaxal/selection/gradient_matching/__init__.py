"""Rules that match or follow last-layer gradients: GradMatch, matching pursuit, GLISTER."""
