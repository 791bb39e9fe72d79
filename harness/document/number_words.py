"""Numbers as a report writes them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from harness.document.section import NOTHING

ROUND_OFF = 1e-12  # of a mean over repeats
SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
NAMES = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "macro_f1": "macro F1",
    "roc_auc": "ROC AUC",
    "r2": "R²",
    "rmse": "RMSE",
}
PERCENT = ("accuracy", "balanced_accuracy")  # scores that are shares of samples
_VAST = 1e4  # a score from here on, such as the R² of a network that ran away, is told by its size


def count(number: int, noun: str, many: str | None = None) -> str:
    """``1 cell``, ``2 cells``; ``many`` is the plural that does not end so."""
    return f"{number} {noun}" if number == 1 else f"{number} {many or f'{noun}s'}"


def factor(metric: str) -> float:
    """What a score is multiplied by for a reader: accuracies are in percent."""
    return 100.0 if metric in PERCENT else 1.0


def shown_score(value: float, metric: str, digits: int = 2) -> str:
    """An accuracy in percent; any other score as it is, to one digit more, or ``−1.0e+37``."""
    if not np.isfinite(value):
        return NOTHING
    if metric in PERCENT:
        return f"{100 * value:.{digits}f} %"
    return _unsigned_zero(f"{value:.1e}" if abs(value) >= _VAST else f"{value:.{digits + 1}f}")


def in_cell(value: float, metric: str) -> str:
    """A score for the cell of a heatmap: without its unit, of a vast one the power of ten."""
    if np.isfinite(value) and abs(value) >= (100 if metric == "r2" else _VAST):
        power = int(np.floor(np.log10(abs(value))))
        return f"{'−' if value < 0 else ''}10{str(power).translate(SUPERSCRIPT)}"
    return shown_score(value, metric, 1).removesuffix(" %")


def with_error(value: float, error: float, plus_minus: bool = False) -> str:
    """A number with its standard error, to that one's two first digits if they begin with 1, else to one.

    ``97.2(9)``, or ``97.2 ± 0.9``. An error that is 0 or not known is left out.
    """
    if not np.isfinite(value):
        return NOTHING
    if not np.isfinite(error) or error <= 0:
        return _unsigned_zero(f"{value:.2f}")
    one, two = f"{error:.0e}", f"{error:.1e}"
    first = next((digits for digits in (one, two) if digits.startswith("1")), "")
    places = 1 - int(first.split("e")[1]) if first else -int(one.split("e")[1])
    shown, places = round(error, places), max(places, 0)
    number = _unsigned_zero(f"{value:.{places}f}")
    if plus_minus:
        return f"{number} ± {shown:.{places}f}"
    digits = f"{shown:.{places}f}" if shown >= 1 else f"{shown * 10**places:.0f}"
    return f"{number}({digits})"


def score_range(low: float, high: float, metric: str) -> str:
    """Two scores, the unit once: ``91.27 to 97.93 %``."""
    ends = [shown_score(value, metric) for value in (low, high)]
    return f"{ends[0].removesuffix(' %')} to {ends[1]}"


def difference(value: float, metric: str, digits: int = 2) -> str:
    """A signed difference of scores; of accuracies in percentage points, without their unit.

    ``0`` is none at all; ``0.00`` one that rounds to it.
    """
    if not np.isfinite(value):
        return NOTHING
    if abs(value) < ROUND_OFF:
        return "0"
    if metric not in PERCENT and abs(value) >= _VAST:
        return _unsigned_zero(f"{value:+.1e}")
    places = digits if metric in PERCENT else digits + 1
    return _unsigned_zero(f"{factor(metric) * value:+.{places}f}")


def _unsigned_zero(shown: str) -> str:
    """A number with a real minus sign, and no sign at all if it was rounded to zero."""
    return shown.replace("-", "−") if shown.strip("+-0.") else shown.lstrip("+-")


def points(value: float, metric: str) -> str:
    """A difference, with the unit that differences of this score have."""
    return f"{difference(value, metric)} points" if metric in PERCENT else difference(value, metric)


def amount(value: float, metric: str) -> str:
    """A width that somebody chose, such as a margin, in as few digits as it has: ``0.5 points``."""
    if metric not in PERCENT:
        return f"{value:.3g} of {NAMES[metric]}"
    shown = f"{100 * value:.3g}"
    return f"{shown} point" if shown.lstrip("-") == "1" else f"{shown} points"


def span(value: float, metric: str) -> str:
    """A width (standard deviation, standard error, quantum): as a difference, without a sign."""
    return points(value, metric).removeprefix("+")


def seconds(value: float | None) -> str:
    """A duration in the unit that suits it."""
    if value is None or not np.isfinite(value):
        return NOTHING
    if value < 1:
        return f"{value:.3f} s"
    if value < 120:
        return f"{value:.1f} s"
    return f"{value / 60:.1f} min" if value < 7200 else f"{value / 3600:.1f} h"


def size(value: float | None) -> str:
    """A number of bytes in MiB or GiB."""
    if value is None or not np.isfinite(value):
        return NOTHING
    return f"{value / 2**20:.0f} MiB" if value < 2**30 else f"{value / 2**30:.2f} GiB"


def tick(value: float) -> str:
    """A grid value for an axis, in few signs: ``10⁻³``, ``0.05``, ``3.2·10⁻⁵``."""
    if value == 0:
        return "0"
    mantissa, exponent = f"{value:.1e}".split("e")
    power = f"10{str(int(exponent)).translate(SUPERSCRIPT)}"
    if abs(float(mantissa) - 1) < 1e-9:
        return power
    if not 1e-2 <= abs(value) < 1e3:
        return f"{float(mantissa):g}·{power}"
    return f"{value:.2g}" if abs(value) < 100 else f"{value:.0f}"


def cell(eta: float, lmbd: float) -> str:
    """A cell of the grid in words."""
    return f"eta {grid(eta)}, lmbd {grid(lmbd)}"


def grid(value: float) -> str:
    """A value of eta or lmbd, to four digits."""
    return f"{value:.4g}"


def listed(items: Sequence[str], most: int = 8) -> str:
    """Items in one line, cut after ``most`` with the number of those left out."""
    shown = "; ".join(items[:most])
    return f"{shown}; and {len(items) - most} more" if len(items) > most else shown


def change(value: float, low: float, high: float, metric: str) -> str:
    """A difference with its interval: ``down 2.31 points (95 % interval −3.02 to −1.60)``."""
    if value == 0:
        return "unchanged"
    way = f"{'down' if value < 0 else 'up'} {span(abs(value), metric)}"
    if np.isnan(low) or low == high:
        return way
    ends = " to ".join(difference(end, metric) for end in (low, high))
    return f"{way} (95 % interval {ends})"


def probability(p: float) -> str:
    """A p value: ``p = 0.003``."""
    if np.isnan(p):
        return "not tested"
    return "p < 0.0001" if p < 1e-4 else f"p = {p:.2g}"
