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
from release.gate.red_flags import acknowledgements, declarations
from release.report import charts, engineering, origin, sections, shift, totals
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


def report(judgement: Judgement) -> str:
    """Return the report in Markdown; the last parts give way where it grows too long."""
    parts = [part for part in all_parts(judgement) if part]
    text = "\n\n".join(parts) + "\n"
    while len(text) > LONGEST and parts:
        parts.pop()
        text = "\n\n".join([*parts, CUT]) + "\n"
    return text


def all_parts(judgement: Judgement) -> Iterator[str]:
    """Yield the parts of the report, the decisive first; empty where evidence is missing."""
    yield verdict(judgement)
    yield figures_table(judgement)
    yield sections.decisions(judgement)
    yield totals.section(judgement)
    yield sections.calibration(judgement)
    yield charts.section(judgement)
    yield shift.section(judgement)
    yield sections.groups(judgement)
    yield origin.model(judgement)
    yield engineering.section(judgement)
    yield origin.parameters(judgement)
    yield origin.policy(judgement)
    yield origin.data(judgement)
    lines = [[MARKS[f.status], f.check, in_words(f)] for f in judgement.findings]
    yield details(f"All {len(lines)} findings", table(["", "check", "finding"], lines))


def verdict(judgement: Judgement) -> str:
    """Return the first lines: what was decided, why, and of what."""
    decisive = [
        f
        for f in judgement.findings
        if f.status in ("cannot judge", "fail") and f.check != acknowledgements.CHECK
    ]
    base = f"`{judgement.base[:10]}`" if judgement.base else "no base yet"
    head = f"Head `{engineering.branch_commit(judgement)[:10]}` against {base}, {rows(judgement)}."
    lines = [
        f"## {MARKS[judgement.verdict]} {judgement.verdict.capitalize()}: {sentence(judgement)}",
        f"{head} {engineering.links()}".strip(),
        sections.summary(judgement),
        "\n".join(f"- {MARKS[f.status]} {f.check}: {in_words(f)}" for f in decisive),
        *for_a_person(judgement),
    ]
    if any(f.check == "remote" and f.status == "note" for f in judgement.findings):
        lines.append("🔹 The remote was not asked (`--no-remote`): this is no verdict for a merge.")
    return "\n\n".join(line for line in lines if line)


def for_a_person(judgement: Judgement) -> Iterator[str]:
    """Yield what figures cannot judge: first what nobody answered for, then the rest."""
    named = (declarations.CHECK, acknowledgements.CHECK)
    notices = [f for f in judgement.findings if f.check in named]
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


def sentence(judgement: Judgement) -> str:
    """Return the sentence of the judgement, with the plain name of the figure that decided."""
    decisive = next((f for f in judgement.findings if f.status == judgement.verdict), None)
    name = decisive.figure if decisive and judgement.verdict != "pass" else ""
    return prose(
        judgement.sentence.replace(name, TITLES.get(name, name)) if name else judgement.sentence
    )


def rows(judgement: Judgement) -> str:
    """Return in words how many rows were judged."""
    if judgement.paired:
        return f"on the {judgement.paired.rows:,} test rows that both were judged on"
    return "without a champion" if judgement.base is None else "without a comparison"


def figures_table(judgement: Judgement) -> str:
    """Return the table of figures with a limit, and below it that of the others."""
    if judgement.differences:
        head = ["figure", "base", "head", "difference", "95 % interval", "better", "gate"]
        lines, align = (
            [figure(n, difference, judgement) for n, difference in judgement.differences.items()],
            "lrrrrcl",
        )
    elif judgement.challenger:
        head, align = ["figure", "head", "gate"], "lrl"
        lines = [
            [
                TITLES.get(name, name),
                number(value, DIGITS.get(name, 4)),
                limits_of(name, judgement),
            ]
            for name, value in judgement.challenger.estimates.items()
        ]
    else:
        return ""
    parts = ["### Figures", table(head, [line for line in lines if line[-1]], align)]
    if judgement.delong:
        parts.append(
            f"AUC by DeLong's test, p = {judgement.delong.p_value:.2g}; all else by {PAIRED}."
        )
    others = table(head[:-1], [line[:-1] for line in lines if not line[-1]], align)
    return "\n\n".join([*parts, details("Figures without a limit", others)])


def figure(name: str, difference: Difference, judgement: Judgement) -> list[str]:
    """Return one row of the table of figures."""
    digits = DIGITS.get(name, 4)
    low, high = number(difference.low, digits, "+"), number(difference.high, digits, "+")
    better = "" if name in NEUTRAL else "higher" if name in limits.HIGHER else "lower"
    return [
        TITLES.get(name, name),
        number(difference.champion, digits),
        number(difference.challenger, digits),
        f"{trend(name, difference)}{number(difference.difference, digits, '+')}",
        f"{low} to {high}",
        better,
        limits_of(name, judgement),
    ]


def trend(name: str, difference: Difference) -> str:
    """Return a mark for a difference whose interval lies wholly on one side."""
    if name in NEUTRAL or not (difference.low > 0 or difference.high < 0):
        return ""
    return "▲ " if (difference.low > 0) == (name in limits.HIGHER) else "▼ "


def limits_of(name: str, judgement: Judgement) -> str:
    """Return the limits that hold for a figure, each with its mark."""
    if not judgement.limits:
        return ""
    marks = {(f.check, f.figure): MARKS[f.status] for f in judgement.findings if f.figure}
    held = []
    if name in judgement.limits.floors:
        held.append(f"{marks.get(('floor', name), '')} {judgement.limits.floors[name]}")
    if name in judgement.limits.max_loss and judgement.differences:
        mark = marks.get(("champion", name), "")
        held.append(f"{mark} loss ≤ {judgement.limits.max_loss[name]:g}")
    return ", ".join(held)


def main(command: list[str] | None = None) -> int:
    """Print the report, or write it to a file."""
    parser = gate.arguments("release.report", __doc__)
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
    text = report(gate.judge_from_options(given))
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
