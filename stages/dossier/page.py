"""Fill the templates of the dossier with figures of its sources."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from stages.dossier.duties import Duty
from stages.dossier.review import ROLES, ApprovalsFile
from stages.dossier.sources import Sources

TEMPLATES = Path(__file__).parent / "templates"
SECTIONS = (
    ("card", "Model card"),
    ("use", "Purpose and population"),
    ("data", "Data, exclusions and lineage"),
    ("candidates", "Candidates, and why the winner won"),
    ("performance", "Discrimination, calibration and stability"),
    ("grades", "Rating grades"),
    ("price", "Price of constraints, of glass and of resampling"),
    ("leakage", "Leakage audit"),
    ("reasons", "Reasons: truth and faithfulness"),
    ("fairness", "Fairness"),
    ("policy", "Policy and its history"),
    ("monitoring", "Monitoring plan"),
    ("limits", "Limits"),
    ("duties", "Duties"),
    ("approvals", "Approvals"),
    ("provenance", "Provenance"),
)


def render(
    sources: Sources, duties: list[Duty], review: ApprovalsFile, facts: dict[str, Any]
) -> str:
    """Return the dossier as one HTML page that loads nothing.

    `facts` are texts that are no figures: the names of book, model and roles.
    """
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(
        figure=sources.figure,
        cell=sources.cell,
        mark=sources.mark,
        has=sources.has,
        value=sources.value,
        sections=SECTIONS,
    )
    page = environment.get_template("page.html")
    return page.render(
        **facts, duties=duties, review=review, roles=ROLES, notes=sources.listed_notes
    )
