"""Find fields whose PD goes against the direction of risk that the contract states."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from release.gate.judgement import Judgement, RedFlag

SHOWN = ("row", "from", "to", "pd_from", "pd_to")


def find_red_flags(judgement: Judgement) -> Iterator[RedFlag]:
    """Yield each field of the winner that goes against its direction, and did not at the base."""
    if judgement.base is None:
        return
    former = list_violations(judgement.champion_metrics or {})
    for name, field in list_violations(judgement.metrics or {}).items():
        if name in former:
            continue
        shown = field.get("counterexample") or {}
        row, start, end, before_pd, after_pd = (shown.get(key) for key in SHOWN)
        words = f"the PD goes against `risk: {field.get('risk')}` of {name} in "
        words += f"{field['violations']:,} test rows: in row {row} from {start} to {end} it goes "
        words += f"from {before_pd} to {after_pd}"
        yield RedFlag(f"direction.{name}", words)


def list_violations(figures: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return what evaluation.json says of the fields with violations, by their names.

    A winner that was fitted again can break a direction that the judged one keeps.
    """
    both = ((figures.get("shipped") or {}).get("monotone"), figures.get("monotone"))
    fields = [field for said in both for field in ((said or {}).get("fields") or {}).items()]
    return {name: field for name, field in fields if field.get("violations")}
