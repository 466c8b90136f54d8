"""Fair comparisons: the same inputs, the same cores, turn by turn, and quality beside time."""
