"""Write a comparison of two policies as a table for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

FIGURES = {
    "approval_rate": "Approval rate",
    "referral_rate": "Referral rate",
    "decline_rate": "Decline rate",
    "approved_bad_rate": "Bad rate among approved",
    "approved_mean_pd": "Mean PD of the approved",
    "profit": "Realised profit per unit applied for",
    "expected_profit": "Expected profit per unit applied for",
    "expected_loss": "Expected loss per unit approved",
    "capital": "Capital per unit approved",
}
TOTALS = {
    "approved": "Applications approved",
    "referred": "Applications referred",
    "money_approved": "Money approved",
    "realised_profit": "Realised profit",
    "expected_profit": "Expected profit",
    "expected_loss": "Expected loss",
    "capital": "Capital",
    "risk_weighted_assets": "Risk-weighted assets",
}
BY_MONEY = "_by_money"
LABEL = 46


def as_text(content: Mapping[str, Any]) -> str:
    """Return what `comparison.compare` returned, as text."""
    lines = [
        f"{content['rows']:,} applications, {content['outcomes']:,} with an outcome; "
        f"{content['changed']:,} decisions differ",
        "",
        f"{'':{LABEL}}{'present':>9}{'proposed':>10}   {'95 % interval':18}"
        f"{'difference':>12}   95 % interval",
    ]
    lines += [_figure(name, f) for name, f in content["figures"].items()]
    lines += ["", f"{'In all':24}{'present':>18}{'proposed':>18}{'difference':>18}   95 % interval"]
    lines += [_total(TOTALS[name], f) for name, f in content["totals"].items()]
    lines += [
        "",
        f"{'Swap set':24}{'rows':>9}{'bad rate':>10}   {'95 % interval':18}{'mean PD':>9}",
    ]
    lines += [_swap(name.replace("_", " "), part) for name, part in content["swaps"].items()]
    for attribute, groups in content["groups"].items():
        head = f"{'present':>9}{'proposed':>10}{'to the best group':>20}   95 % interval"
        lines += ["", f"{f'Approved by {attribute}':30}{'rows':>9}{head}"]
        lines += [_group(name, facts) for name, facts in groups.items()]
    return "\n".join(lines)


def title(name: str) -> str:
    """Return the title of a figure."""
    words = FIGURES[name.removesuffix(BY_MONEY)]
    return f"{words}, by money" if name.endswith(BY_MONEY) else words


def number(value: float | None, form: str = ".4f") -> str:
    """Return a number, or a dash where it is undefined."""
    return "-" if value is None else format(value, form)


def interval(figure: Mapping[str, float | None], form: str = ".4f") -> str:
    """Return the bounds of an interval."""
    return f"{number(figure['low'], form)} to {number(figure['high'], form)}"


def _figure(name: str, figure: Mapping[str, Any]) -> str:
    present, proposed = (number(figure[side]["value"]) for side in ("present", "proposed"))
    change = figure["difference"]
    return (
        f"{title(name):{LABEL}}{present:>9}{proposed:>10}   {interval(figure['proposed']):18}"
        f"{number(change['value'], '+.4f'):>12}   {interval(change, '+.4f')}"
    )


def _total(words: str, figure: Mapping[str, Any]) -> str:
    sides = (number(figure[side]["value"], ",.0f") for side in ("present", "proposed"))
    change = figure["difference"]
    values = "".join(f"{side:>18}" for side in (*sides, number(change["value"], "+,.0f")))
    return f"{words:24}{values}   {interval(change, '+,.0f')}"


def _swap(name: str, part: Mapping[str, Any]) -> str:
    rate = part["bad_rate"]
    return (
        f"{name:24}{part['rows']:>9,}{number(rate['value']):>10}   {interval(rate):18}"
        f"{number(part['mean_pd']):>9}"
    )


def _group(name: str, facts: Mapping[str, Any]) -> str:
    text = f"{name:30}{facts['rows']:>9,}"
    if facts["present"] is None or facts["proposed"] is None:
        return f"{text}   too few rows to be judged"
    rates = (number(facts[s]["approval_rate"]["value"]) for s in ("present", "proposed"))
    then, now = rates
    ratio = facts["proposed"]["approval_ratio"]
    return f"{text}{then:>9}{now:>10}{number(ratio['value'], '.2f'):>20}   {interval(ratio, '.2f')}"
