"""Is a run as good as its baseline? Pass, fail, inconclusive or not comparable, in this order:

comparable    same data, split, network, grid, settings; else nothing can be said
movement      same predictions and losses up to round-off: a pass that needs no test
parity        each backend against the float64 reference over a few dozen steps
hard failures non-finite, collapsed to guessing, or missing where the baseline was not
primaries     few corrected one-sided tests: each backend's chosen cell, and its stable cells' mean
warnings      single cells that fell, under false-discovery control; they never fail a check
"""

from harness.check.course import check
from harness.check.findings import Finding
from harness.check.verdict import Rules, Verdict, judge

__all__ = ["Finding", "Rules", "Verdict", "check", "judge"]
