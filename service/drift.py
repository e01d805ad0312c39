"""Whether live applications still look like those the winner was trained on.

Pure functions on arrays, held against `models/reference.json`. Every rule has a bound that depends
on the size of the window, so that no drift means quiet; how large a shift is says how loud it gets.
`python -m service.drift` judges the ledger's newest decisions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import logit
from scipy.stats import binom, chi2, kstwo, norm

Floats = NDArray[np.float64]
Loudness = Literal["notice", "warning", "alarm"]
Action = Literal["none", "source", "retrain", "watch", "recalibrate"]
STEPS = ("notice", "warning", "alarm")

# The chance that a report on undrifted traffic finds anything: one false report in 10,000.
FALSE_REPORTS = 1e-4
RULES = 6  # at most, per feature
EXPECTED = 5.0  # rows that a bin must expect (Cochran 1954); rarer bins are pooled
GRID = 0.01  # the reference knows its quantiles to 1 %
FACTORS = (12.0, 10.0, 100.0, 1000.0)  # months for years, digits, percent, thousands
# From which shift on a finding is a warning, and an alarm; a smaller one is a notice.
LOUD: dict[str, tuple[float, float]] = {
    "psi": (0.1, 0.25),  # the field's own steps (Siddiqi 2006)
    "mean": (0.25, 0.5),  # standard deviations
    "ks": (0.1, 0.25),
    "missing": (0.02, 0.1),  # share of rows
    "out_of_bounds": (0.02, 0.1),
    "unseen": (0.01, 0.05),
    "constant": (0.0, 0.0),
    "refused": (0.05, 0.2),  # share of applications
    "realised": (0.02, 0.05),  # ROC-AUC
}


@dataclass(frozen=True)
class Finding:
    """A rule that fired: the field, how far it moved, and the bound that chance keeps to."""

    field: str
    rule: str
    value: float
    bound: float
    loudness: Loudness
    words: str


def report(
    reference: Mapping[str, Any], columns: Mapping[str, Floats], pd: Floats
) -> dict[str, Any]:
    """Judge a window: features by name (n,), NaN missing, categories as codes, and PD (n,).

    Returns plain data: `rows`, `findings`, for each feature and the score its PSI, bound, shift of
    the mean and shares, and what to do: `action` in a word, `advice` in a sentence.
    """
    parts = dict(reference["features"]) | {"score": reference["score"]}
    live = {**columns, "score": logit(pd)}
    level = FALSE_REPORTS / (len(parts) * RULES)
    judged = {
        name: judge(name, own, live[name], reference["rows"], level) for name, own in parts.items()
    }
    findings = [f for _, found in judged.values() for f in found]
    action, words = advice(findings)
    return {
        "rows": len(pd),
        "findings": [asdict(f) for f in findings],
        "features": {name: facts for name, (facts, _) in judged.items() if name != "score"},
        "score": judged["score"][0] | score_shift(parts["score"], live["score"]),
        "action": action,
        "advice": words,
    }


def loudest_first(findings: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Findings in the order in which they are told."""
    return sorted(findings, key=lambda own: STEPS.index(own["loudness"]), reverse=True)


def judge(
    name: str, reference: Mapping[str, Any], values: Floats, trained: int, level: float
) -> tuple[dict[str, Any], list[Finding]]:
    """One feature (n,) against its reference of `trained` rows: its facts and its findings."""
    known = values[~np.isnan(values)]
    counts = binned(reference, known)
    facts: dict[str, Any] = {
        "missing": float(np.isnan(values).mean()),
        "shares": (counts / max(len(known), 1)).tolist(),
    }
    tests = [missing_rule(reference, values, trained, level)]
    if len(known):
        tests.append(psi_rule(reference, counts, trained, level))
        rules = numeric_rules if reference["kind"] == "number" else category_rules
        tests += rules(reference, known, counts, trained, level)
    found = []
    for rule, value, bound, shift, words in tests:
        facts[rule] = {"value": value, "bound": bound}
        if value > bound:
            found.append(Finding(name, rule, value, bound, loudness(rule, shift), words))
    if reference["kind"] == "number" and len(known):
        # The rule of other systems, for comparison: it never fires (income at a tenth: 1.1).
        facts["plain_sd_rule"] = abs(known.mean() - reference["mean"]) / (reference["sd"] or 1.0)
    return facts, found


Test = tuple[str, float, float, float, str]  # rule, value, bound, shift, words


def binned(reference: Mapping[str, Any], known: Floats) -> NDArray[np.int64]:
    """Rows in each of the reference's bins."""
    size = len(reference["shares"])
    if reference["kind"] == "category":
        return np.bincount(known.astype(np.int64), minlength=size)
    return np.bincount(np.searchsorted(reference["edges"], known, side="right"), minlength=size)


def psi_rule(
    reference: Mapping[str, Any], counts: NDArray[np.int64], trained: int, level: float
) -> Test:
    """PSI against a bound: PSI / (1/n + 1/m) is chi-squared without drift (Yurdakul 2018)."""
    expected, live = pooled(np.asarray(reference["shares"]), counts)
    n = live.sum()
    value = psi(expected, (live + 0.5) / (n + 0.5 * len(live)))
    bound = float(chi2.isf(level, max(len(live) - 1, 1)) * (1 / n + 1 / trained))
    return "psi", value, bound, value, f"its distribution moved: PSI {value:.3f}"


def psi(expected: Floats, actual: Floats) -> float:
    """Population stability index: sum of (actual - expected) * ln(actual / expected)."""
    return float(np.sum((actual - expected) * np.log(actual / expected)))


def pooled(shares: Floats, counts: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Shares and counts with bins too rare for the window put together."""
    rare = shares * counts.sum() < EXPECTED
    if not rare.any():
        return shares, counts.astype(np.float64)
    together = np.append(shares[~rare], shares[rare].sum())
    live = np.append(counts[~rare], counts[rare].sum()).astype(np.float64)
    floor = 1e-6  # a pool of bins that training never saw
    return np.maximum(together, floor), live


def missing_rule(reference: Mapping[str, Any], values: Floats, trained: int, level: float) -> Test:
    """More missing values than chance brings."""
    rate = float(np.isnan(values).mean())
    bound = share_bound(reference["missing"], len(values), trained, level)
    return (
        "missing",
        rate,
        bound,
        rate - reference["missing"],
        f"{rate:.1%} of its values are missing",
    )


def share_bound(share: float, rows: int, trained: float, level: float) -> float:
    """The share of `rows` that chance exceeds with probability `level`, by the binomial.

    A share that training rows put at 0 may be as high as 3 / m (the rule of three).
    """
    return float(binom.isf(level, rows, min(max(share, 3 / trained), 1.0)) / rows)


def numeric_rules(
    reference: Mapping[str, Any], known: Floats, counts: Any, trained: int, level: float
) -> Iterator[Test]:
    """The mean (z-test), the distribution (Kolmogorov-Smirnov), bounds, and a stuck feed."""
    n, sd = len(known), reference["sd"] or 1.0
    shift = abs(float(known.mean()) - reference["mean"]) / sd
    z = shift / np.sqrt(1 / n + 1 / trained)
    way = f"its mean went from {figure(reference['mean'])} to {figure(known.mean())}"
    words = way + unit_change(reference, known)
    yield "mean", float(z), float(norm.isf(level / 2)), shift, words

    distance = ks_distance(reference["quantiles"], known)
    bound = float(kstwo.isf(level, n)) + GRID
    yield "ks", distance, bound, distance, f"its distribution moved: KS {distance:.3f}"

    low, high = reference["quantiles"][0], reference["quantiles"][-1]
    outside = float(np.mean((known < low) | (known > high)))
    words = f"{outside:.1%} of its values lie outside {figure(low)} to {figure(high)}"
    yield "out_of_bounds", outside, share_bound(0.0, n, trained, level), outside, words

    stuck = known.min() == known.max() and len(reference["edges"]) > 0
    likely = float(np.mean(np.asarray(reference["quantiles"]) == known[0]) + GRID)
    certain = stuck and likely**n < level
    yield "constant", float(certain), 0.5, 1.0, f"every value is {figure(known[0])}"


def ks_distance(quantiles: list[float], known: Floats) -> float:
    """The largest gap between the live and the reference distribution at the known quantiles."""
    points = np.asarray(quantiles)
    ordered = np.sort(known)
    grid, first = np.unique(points, return_index=True)
    last = len(points) - 1 - np.unique(points[::-1], return_index=True)[1]
    at_most = np.searchsorted(ordered, grid, side="right") / len(ordered)
    below = np.searchsorted(ordered, grid, side="left") / len(ordered)
    top = len(points) - 1
    return float(
        max(
            np.abs(at_most - last / top)[:-1].max(initial=0),
            np.abs(below - first / top)[1:].max(initial=0),
        )
    )


def unit_change(reference: Mapping[str, Any], known: Floats) -> str:
    """Words where the medians differ by a factor that units differ by."""
    old, new = reference["quantiles"][len(reference["quantiles"]) // 2], float(np.median(known))
    if old <= 0 or new <= 0:
        return ""
    for factor in FACTORS:
        for ratio, words in ((factor, f"{factor:g} times"), (1 / factor, f"1/{factor:g} of")):
            if abs(np.log(new / old / ratio)) < 0.08:
                return f"; its median is {words} what it was: another unit?"
    return ""


def category_rules(
    reference: Mapping[str, Any],
    known: Floats,
    counts: NDArray[np.int64],
    trained: int,
    level: float,
) -> Iterator[Test]:
    """Categories that training never saw."""
    unseen = np.asarray(reference["shares"]) == 0
    share = float(counts[unseen].sum() / counts.sum())
    names = [c for c, u, k in zip(reference["categories"], unseen, counts, strict=True) if u and k]
    bound = share_bound(0.0, len(known), trained, level)
    yield "unseen", share, bound, share, f"{share:.1%} are {', '.join(names)}, unseen in training"


def figure(value: float) -> str:
    """A number of a feature as people read it."""
    return f"{value:,.4g}" if abs(value) < 1e4 else f"{value:,.0f}"


def loudness(rule: str, shift: float) -> Loudness:
    """How loud a finding is, by the size of the shift."""
    warning, alarm = LOUD[rule]
    return "alarm" if shift >= alarm else "warning" if shift >= warning else "notice"


def score_shift(reference: Mapping[str, Any], margin: Floats) -> dict[str, float]:
    """The score's drift in two: its level (log-odds), and the PSI that is left without it."""
    level = float(margin.mean() - reference["mean"])
    counts = binned(reference, margin - level)
    expected, live = pooled(np.asarray(reference["shares"]), counts)
    shape = psi(expected, (live + 0.5) / (live.sum() + 0.5 * len(live)))
    return {"level": level, "shape": shape}


BROKEN = ("missing", "constant", "unseen", "out_of_bounds")


def advice(findings: list[Finding]) -> tuple[Action, str]:
    """What to do first, in a word and in a sentence; `retrain` may start the retraining."""
    loud = [f for f in findings if f.loudness != "notice"]
    inputs = [f for f in loud if f.field != "score"]
    broken = sorted({f.field for f in inputs if f.rule in BROKEN or "another unit" in f.words})
    if broken:
        return "source", f"Look at the data source of {', '.join(broken)}."
    moved = ", ".join(sorted({f.field for f in inputs}))
    if inputs and any(f.field == "score" for f in loud):
        return "retrain", f"Retrain: {moved} moved, and the score with them."
    if inputs:
        return "watch", f"Watch {moved}: moved, the score has not."
    if loud:
        return "recalibrate", "Recalibrate: the score moved while no single feature did."
    return "none", "Nothing to do."


if __name__ == "__main__":
    from service.monitor import main

    main()
