"""Parity: whether backends take the same path, weight by weight, and where they part if not."""
