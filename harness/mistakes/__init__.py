"""The step written out in float64, and the mistakes that may be made in it: found, named and sized."""
