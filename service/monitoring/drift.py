"""Compare the applications of a window with those that the winner was trained on.

These are pure functions of arrays and `models/reference.json`. The bound of each rule depends on
the size of the window, so that chance alone gives no finding; the size of the shift decides whether
a finding is a notice, a warning or an alarm.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any, Literal

import numpy as np
from scipy.special import expit, logit

from service.monitoring.drift_rules import (
    FALSE_REPORTS,
    DriftFinding,
    Floats,
    Reference,
    category_rules,
    count_by_bin,
    loudness_of,
    missing_rule,
    numeric_rules,
    pool_rare_bins,
    psi,
    psi_rule,
)

Report = dict[str, Any]
"""A drift report as a JSON object; `report` and `Monitor.report` describe it."""
FindingObject = dict[str, Any]
"""A `DriftFinding` as a JSON object."""
Action = Literal["none", "source", "retrain", "watch", "recalibrate"]
STEPS = ("notice", "warning", "alarm")
RULES = 6  # the largest number of rules per feature


def report(
    reference: Reference,
    columns: Mapping[str, Floats],
    pd: Floats,
    *,
    sources: Mapping[str, Sequence[str]] | None = None,
    points: Callable[[Floats], Floats] | None = None,
) -> Report:
    """Return the drift report about a window.

    `columns` has each feature by name (n,), with NaN for missing values and codes for categories;
    `pd` has shape (n,). `sources` names the raw fields of each feature, to which the advice traces
    it; `points` turns PDs into the credit score, in which people read the score's findings. The
    report is a JSON object with `rows`, `findings`, the value and bound of each rule by feature and
    for the score, and what to do: `action`, a word, and `advice`, a text.
    """
    parts = dict(reference["features"]) | {"score": reference["score"]}
    live = {**columns, "score": logit(pd)}
    level = FALSE_REPORTS / (len(parts) * RULES)
    judged = {
        name: judge_feature(name, part, live[name], part.get("rows", reference["rows"]), level)
        for name, part in parts.items()
    }
    findings = [f for _, of_feature in judged.values() for f in of_feature]
    if points:
        findings = [in_points(f, parts["score"], live["score"], points) for f in findings]
    shifts = {name: largest_shift(facts) for name, (facts, _) in judged.items()}
    action, words = advise(findings, shifts, sources or {})
    return {
        "rows": len(pd),
        "findings": [asdict(f) for f in findings],
        "features": {name: facts for name, (facts, _) in judged.items() if name != "score"},
        "score": judged["score"][0] | score_shift(parts["score"], live["score"]),
        "action": action,
        "advice": words,
    }


def loudest_first(findings: list[FindingObject]) -> list[FindingObject]:
    """Return findings with alarms first, then warnings, then notices."""
    return sorted(findings, key=lambda finding: STEPS.index(finding["loudness"]), reverse=True)


def judge_feature(
    name: str, reference: Reference, values: Floats, trained: int, level: float
) -> tuple[dict[str, Any], list[DriftFinding]]:
    """Return the facts and findings of one feature (n,), compared with `trained` training rows."""
    present = values[~np.isnan(values)]
    counts = count_by_bin(reference, present)
    facts: dict[str, Any] = {
        "missing": float(np.isnan(values).mean()),
        "shares": (counts / max(len(present), 1)).tolist(),
    }
    tests = [missing_rule(reference, values, trained, level)]
    if len(present):
        tests.append(psi_rule(reference, counts, trained, level))
        rules = numeric_rules if reference["kind"] == "number" else category_rules
        tests += rules(reference, present, counts, trained, level)
    findings = []
    for rule, value, bound, shift, words in tests:
        facts[rule] = {"value": value, "bound": bound}
        if value > bound:
            findings.append(DriftFinding(name, rule, value, bound, loudness_of(rule, shift), words))
    if reference["kind"] == "number" and len(present):
        # The usual rule, for comparison: it never fires (1.1 with incomes cut to a tenth).
        facts["plain_sd_rule"] = abs(present.mean() - reference["mean"]) / (reference["sd"] or 1.0)
    return facts, findings


def score_shift(reference: Reference, margin: Floats) -> dict[str, float]:
    """Return the score's drift in two parts: `level`, the shift in log-odds, and `shape`, the PSI
    of the scores after the shift is removed.
    """
    level = float(margin.mean() - reference["mean"])
    counts = count_by_bin(reference, margin - level)
    expected, live = pool_rare_bins(np.asarray(reference["shares"]), counts)
    shape = psi(expected, (live + 0.5) / (live.sum() + 0.5 * len(live)))
    return {"level": level, "shape": shape}


BROKEN = ("missing", "constant", "unseen", "out_of_bounds")


def in_points(
    finding: DriftFinding, trained: Reference, margin: Floats, points: Callable[[Floats], Floats]
) -> DriftFinding:
    """Return a finding about the score's mean in points, which is how people read the score."""
    if (finding.field, finding.rule) != ("score", "mean"):
        return finding
    before, now = (float(points(expit(mean))) for mean in (trained["mean"], margin.mean()))
    return replace(finding, words=f"its mean went from {before:.0f} to {now:.0f} points")


def raw_fields(
    features: Iterable[str], shifts: Mapping[str, float], sources: Mapping[str, Sequence[str]]
) -> str:
    """Return the raw fields that explain features which moved, as a list in words.

    `shifts` has the largest figure of each feature as a multiple of its bound. A ratio is traced to
    its field with the largest shift, and to others that moved at least half as far.
    """
    named: set[str] = set()
    for feature in features:
        far = {field: shifts.get(field, 0.0) for field in sources.get(feature, (feature,))}
        named |= {field for field, shift in far.items() if shift >= max(far.values()) / 2}
    return ", ".join(sorted(named))


def largest_shift(facts: Mapping[str, Any]) -> float:
    """Return the largest figure of a feature's rules as a multiple of its bound."""
    rules = [rule for rule in facts.values() if isinstance(rule, dict) and rule["bound"] > 0]
    return max((rule["value"] / rule["bound"] for rule in rules), default=0.0)


def advise(
    findings: list[DriftFinding],
    shifts: Mapping[str, float],
    sources: Mapping[str, Sequence[str]],
) -> tuple[Action, str]:
    """Return the advice as a word and as a sentence; `retrain` may start the retraining."""
    loud = [f for f in findings if f.loudness != "notice"]
    inputs = [f for f in loud if f.field != "score"]
    broken = {f.field for f in inputs if f.rule in BROKEN or "another unit" in f.words}
    if broken:
        return "source", f"Look at the data source of {raw_fields(broken, shifts, sources)}."
    moved = raw_fields({f.field for f in inputs}, shifts, sources)
    if inputs and any(f.field == "score" for f in loud):
        return "retrain", f"Retrain: {moved} moved, and the score with them."
    if inputs:
        return "watch", f"Watch {moved}: moved, the score has not."
    if loud:
        return "recalibrate", "Recalibrate: the score moved while no single feature did."
    return "none", "Nothing to do."
