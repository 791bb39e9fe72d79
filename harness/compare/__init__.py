"""Compare: which cells of backends, or of two runs, are equivalent, different or undecided."""
