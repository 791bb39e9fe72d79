"""Do two implementations, or two runs, agree? For every cell, with a margin, corrected for many cells."""

from harness.compare.comparison import Comparison, compare

__all__ = ["Comparison", "compare"]
