"""Studies: the grid of eta and lmbd at every point of outer axes, as one run with one page."""
