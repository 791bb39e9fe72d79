"""The report on one run or several."""
