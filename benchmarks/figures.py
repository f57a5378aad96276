"""Windows and their spread. Servers take turns, so the load of the machine meets all of them."""

from collections.abc import Sequence
from statistics import median, quantiles
from typing import Any

Figures = dict[str, Any]
"""What a section returns: it can be written as JSON."""


def spread(windows: Sequence[float]) -> dict[str, float]:
    """The best (least) of the windows, their median, and the middle half of them."""
    if len(windows) == 1:
        low = high = windows[0]
    else:
        low, _, high = quantiles(windows, n=4, method="inclusive")
    return {
        "best": round(min(windows), 4),
        "median": round(median(windows), 4),
        "low": round(low, 4),
        "high": round(high, 4),
        "windows": len(windows),
    }


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> dict[str, float]:
    """The spread of ours ÷ theirs, round by round; `best` compares the best window of each."""
    each = [mine / other for mine, other in zip(ours, theirs, strict=False)]
    return {**spread(each), "best": round(min(ours) / min(theirs), 4)}


def percentile(values: Sequence[float], share: float) -> float:
    found = sorted(values)
    return found[min(len(found) - 1, int(share * len(found)))]
