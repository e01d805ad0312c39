"""Write one Markdown report of a change: the verdict first, then what it does to decisions.

    python -m release.report --base REV [--out FILE] [--summary FILE] [--no-remote]

It judges as the gate does and always ends with exit 0: the gate's exit code is the gate's.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

from release.gate import __main__ as gate
from release.gate import limits
from release.gate.checks import Finding
from release.gate.comparison import Difference
from release.gate.judgement import Judgement
from release.gate.suspicions import acknowledgements, declarations
from release.report import engineering, origin, sections, shift, totals
from release.report.markdown import MARKS, details, number, prose, table
from stages import files, project

PAIRED = "a paired bootstrap; profit per unit applied for, at the head's margin and loss"
LONGEST = 60_000  # characters: GitHub accepts 65,536 in a comment, and the rest is for safety
CUT = "_The rest did not fit: see the artifact of this run._"
DIGITS = {"profit": 5, "brier": 5}
SHOWN = 12  # notices at the top
TITLES = {
    "roc_auc": "Discrimination (AUC)",
    "pr_auc": "Precision-recall (PR AUC)",
    "gini": "Gini",
    "ks": "KS",
    "brier": "Brier score",
    "log_loss": "Log loss",
    "ece": "Calibration error (ECE)",
    "calibration_slope": "Calibration slope",
    "calibration_intercept": "Calibration intercept",
    "mean_pd": "Mean PD",
    "bad_rate": "Bad rate",
    "approval_rate": "Approval rate",
    "approved_bad_rate": "Bad rate among approved",
    "profit": "Profit per unit applied for",
    "precision": "Precision",
    "recall": "Recall",
    "f1": "F1",
}
NEUTRAL = "calibration_slope", "calibration_intercept", "mean_pd", "bad_rate", "approval_rate"


def report(found: Judgement) -> str:
    """Return the report in Markdown; the last parts give way where it grows too long."""
    parts = [part for part in every(found) if part]
    text = "\n\n".join(parts) + "\n"
    while len(text) > LONGEST and parts:
        parts.pop()
        text = "\n\n".join([*parts, CUT]) + "\n"
    return text


def every(found: Judgement) -> Iterator[str]:
    """Yield the parts of the report, the decisive first; empty where evidence is missing."""
    yield verdict(found)
    yield figures(found)
    yield sections.decisions(found)
    yield totals.section(found)
    yield sections.calibration(found)
    yield shift.section(found)
    yield sections.groups(found)
    yield origin.model(found)
    yield engineering.section(found)
    yield origin.parameters(found)
    yield origin.policy(found)
    yield origin.data(found)
    lines = [[MARKS[f.status], f.check, in_words(f)] for f in found.findings]
    yield details(f"All {len(lines)} findings", table(["", "check", "finding"], lines))


def verdict(found: Judgement) -> str:
    """Return the first lines: what was decided, why, and of what."""
    decisive = [
        f
        for f in found.findings
        if f.status in ("cannot judge", "fail") and f.check != acknowledgements.CHECK
    ]
    base = f"`{found.base[:10]}`" if found.base else "no base yet"
    head = f"Head `{engineering.branch_commit(found)[:10]}` against {base}, {rows(found)}."
    lines = [
        f"## {MARKS[found.verdict]} {found.verdict.capitalize()}: {sentence(found)}",
        f"{head} {engineering.links()}".strip(),
        sections.summary(found),
        "\n".join(f"- {MARKS[f.status]} {f.check}: {in_words(f)}" for f in decisive),
        *for_a_person(found),
    ]
    if any(f.check == "remote" and f.status == "note" for f in found.findings):
        lines.append("🔹 The remote was not asked (`--no-remote`): this is no verdict for a merge.")
    return "\n\n".join(line for line in lines if line)


def for_a_person(found: Judgement) -> Iterator[str]:
    """Yield what figures cannot judge: first what nobody answered for, then the rest."""
    named = (declarations.CHECK, acknowledgements.CHECK)
    notices = [f for f in found.findings if f.check in named]
    notices.sort(key=lambda f: f.status == "note")
    if notices:
        yield "**To be looked at by a person, whatever the figures say:**"
        yield "\n".join(f"- {MARKS[f.status]} {prose(f.words)}" for f in notices[:SHOWN])
    if len(notices) > SHOWN:
        yield f"… and {len(notices) - SHOWN} more, among all findings below."


def in_words(finding: Finding) -> str:
    """Return a finding with the plain name of its figure in the place of the short one."""
    name = finding.figure
    return prose(finding.words.replace(name, TITLES.get(name, name)) if name else finding.words)


def sentence(found: Judgement) -> str:
    """Return the sentence of the judgement, with the plain name of the figure that decided."""
    decisive = next((f for f in found.findings if f.status == found.verdict), None)
    name = decisive.figure if decisive and found.verdict != "pass" else ""
    return prose(found.sentence.replace(name, TITLES.get(name, name)) if name else found.sentence)


def rows(found: Judgement) -> str:
    """Return in words how many rows were judged."""
    if found.paired:
        return f"on the {found.paired.rows:,} test rows that both were judged on"
    return "without a champion" if found.base is None else "without a comparison"


def figures(found: Judgement) -> str:
    """Return the table of figures with a limit, and below it that of the others."""
    if found.differences:
        head = ["figure", "base", "head", "difference", "95 % interval", "better", "gate"]
        lines, align = [figure(n, own, found) for n, own in found.differences.items()], "lrrrrcl"
    elif found.challenger:
        head, align = ["figure", "head", "gate"], "lrl"
        lines = [
            [TITLES.get(name, name), number(value, DIGITS.get(name, 4)), gated(name, found)]
            for name, value in found.challenger.estimates.items()
        ]
    else:
        return ""
    parts = ["### Figures", table(head, [line for line in lines if line[-1]], align)]
    if found.delong:
        parts.append(f"AUC by DeLong's test, p = {found.delong.p_value:.2g}; all else by {PAIRED}.")
    others = table(head[:-1], [line[:-1] for line in lines if not line[-1]], align)
    return "\n\n".join([*parts, details("Figures without a limit", others)])


def figure(name: str, own: Difference, found: Judgement) -> list[str]:
    """Return one row of the table of figures."""
    digits = DIGITS.get(name, 4)
    low, high = number(own.low, digits, "+"), number(own.high, digits, "+")
    better = "" if name in NEUTRAL else "higher" if name in limits.HIGHER else "lower"
    return [
        TITLES.get(name, name),
        number(own.champion, digits),
        number(own.challenger, digits),
        f"{trend(name, own)}{number(own.difference, digits, '+')}",
        f"{low} to {high}",
        better,
        gated(name, found),
    ]


def trend(name: str, own: Difference) -> str:
    """Return a mark for a difference whose interval lies wholly on one side."""
    if name in NEUTRAL or not (own.low > 0 or own.high < 0):
        return ""
    return "▲ " if (own.low > 0) == (name in limits.HIGHER) else "▼ "


def gated(name: str, found: Judgement) -> str:
    """Return the limits that hold for a figure, each with its mark."""
    if not found.limits:
        return ""
    marks = {(f.check, f.figure): MARKS[f.status] for f in found.findings if f.figure}
    held = []
    if name in found.limits.floors:
        held.append(f"{marks.get(('floor', name), '')} {found.limits.floors[name]}")
    if name in found.limits.max_loss and found.differences:
        mark = marks.get(("champion", name), "")
        held.append(f"{mark} loss ≤ {found.limits.max_loss[name]:g}")
    return ", ".join(held)


def main(command: list[str] | None = None) -> int:
    """Print the report, or write it to a file."""
    parser = gate.arguments(__doc__)
    parser.add_argument(
        "--out", type=project.resolve, metavar="FILE", help="write it there, not to stdout"
    )
    parser.add_argument(
        "--summary",
        type=project.resolve,
        metavar="FILE",
        help="append it there too, as a job's summary",
    )
    given = parser.parse_args(command)
    text = report(gate.judged(given))
    if given.out:
        files.write_text(given.out, text)
    else:
        sys.stdout.write(text)
    if given.summary:
        with given.summary.open("a") as file:
            file.write(text)
    return 0


if __name__ == "__main__":
    project.enter()
    sys.exit(main())
