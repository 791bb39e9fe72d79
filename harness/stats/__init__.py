"""Statistics over records: pure functions of tables and arrays; every test is SciPy's or statsmodels'.

repeats       centre, spread and interval of a cell; selection optimism
differences   paired differences of cells, equivalence, corrections for many cells
agreement     label flips, kappa, McNemar, Cochran's Q
power         repeats needed, smallest drop that would be caught, expected false alarms
gate          the one-sided tests of the regression check
"""
