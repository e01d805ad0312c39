"""Compare what a change declares with the base: fields, rows, stages, storage and code."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from release import revisions
from release.dvc_state import ValueChange, changes
from release.gate.checks import Finding
from release.gate.judgement import Judgement, RedFlag
from release.gate.parameters import JudgedParameters

CHECK = "attention"
# Of a field: what people read. All else decides which rows there are, what a value means, whether
# it may be a feature, in which direction, or which groups are measured by it.
READ = ("title", "help", "unit", "actionable", "step", "reason", "example")
# Of the contract: what people read, and what makes features, which are looked at as such.
ELSEWHERE = ("title", "description", "fields", "aggregates", "derived")
# Of an aggregate or a derived field: what people read, and what makes it another feature.
OF_FEATURE = (
    *("stated_as", "tolerance", "formula", "when_empty", "feature", "known_at"),
    *("of", "take", "field", "within", "where"),
)
# Of params.yaml: what the figures judge, and what neither a stage nor the service reads. All else
# decides on which rows and by which yardstick both sides are judged, or who watches over decisions.
FREE = (
    *("candidates", "featurize", "search", "train", "evaluate.choose_by", "evaluate.choose_over"),
    *("evaluate.origins", "evaluate.prefer", "refit.rows", "refit.anchor"),
    *("policy.cut_off", "policy.refer_band", "policy.rules"),
    *("threads", "compute", "simulate", "expected_loss", "fairness"),
)
RULES = "policy.rules"
LISTED = ("cmd", "desc", "deps", "params", "outs", "metrics", "plots", "meta")
JUDGE = ("release", "service", "stages", "requirements", "dvc.yaml", ".github", ".dvc/plots")


def notices(judgement: Judgement) -> Iterator[Finding]:
    """Yield what a reader should know of a change, and needs no acknowledgement."""
    if judgement.base is None or judgement.params is None:
        return
    folder = judgement.params.data
    before, after = both_sides(judgement.base, str(folder / "contract.yaml"))
    if before:
        old, new = (contract.get("fields") or {} for contract in (before, after))
        for name in sorted(new.keys() - old.keys()):
            words = f"field {name} is new: known at {_known_at(new[name])}"
            yield Finding(CHECK, "note", words)
        if changes(*both_sides(judgement.base, f"{folder / 'raw'}.dvc")):
            words = f"{folder / 'raw'}: the tables are not those of the base"
            yield Finding(CHECK, "note", words)
    if unread := sorted(unread_sections(judgement.base)):
        words = f"params.yaml: the sections {_first(unread)} are new, and this gate reads none "
        yield Finding(CHECK, "note", f"{words}of them")
    if code := revisions.list_changed(judgement.base, *JUDGE):
        words = f"{len(code)} files of code that makes or judges models changed: {_first(code)}"
        yield Finding(CHECK, "note", f"{words}; this judgement is by the code of the gate that ran")


def find_red_flags(judgement: Judgement) -> Iterator[RedFlag]:
    """Yield every change of what is judged, on which rows, from where."""
    if judgement.base is None or judgement.params is None:
        return
    sides = both_sides(judgement.base, "params.yaml")
    yield from parameter_changes(*sides, judgement.unknown)
    path = str(judgement.params.data / "contract.yaml")
    before, after = both_sides(judgement.base, path)
    if before:
        yield from contract_changes(before, after)
    yield from stage_changes(*both_sides(judgement.base, "dvc.yaml"))


def parameter_changes(
    before: dict[str, Any], after: dict[str, Any], unknown: list[str]
) -> Iterator[RedFlag]:
    """Say which parameters changed that no figure judges, and which this gate does not know."""
    changed, known = changes(before, after), JudgedParameters.model_fields
    for change in changed:
        name, section = change.name, change.name.partition(".")[0]
        if name == RULES and not holds_all(change.after, change.before):
            yield RedFlag(name, "params.yaml: a hard rule of the policy is gone or is another one")
        elif section in {*before, *known} and not any(
            is_part(name, of) for of in (*FREE, *unknown)
        ):
            yield RedFlag(name, f"params.yaml: {_words(change)}")
    for name in unknown:
        if any(is_part(name, each.name) or is_part(each.name, name) for each in changed):
            words = f"params.yaml: {name} is new to this gate, which judges as if it were not there"
            yield RedFlag(f"unknown.{name}", words)


def holds_all(rules: object, former: object) -> bool:
    """Return whether a list has every entry of a former one."""
    here, there = (each if isinstance(each, list) else [] for each in (rules, former))
    return all(rule in here for rule in there)


def is_part(name: str, of: str) -> bool:
    """Return whether a dotted name is that of a section or of something in it."""
    return f"{name}.".startswith(f"{of}.")


def unread_sections(base: str) -> set[str]:
    """Return the sections of params.yaml that the base did not have and that the gate ignores."""
    before, after = both_sides(base, "params.yaml")
    return after.keys() - before.keys() - JudgedParameters.model_fields.keys()


def contract_changes(before: dict[str, Any], after: dict[str, Any]) -> Iterator[RedFlag]:
    """Say which fields went or changed their meaning, and what else defines the rows."""
    old, new = (contract.get("fields") or {} for contract in (before, after))
    for name in sorted(old.keys() - new.keys()):
        if old[name].get("protected"):
            yield RedFlag(f"gone.{name}", f"field {name}, a protected one, is gone")
    former = {_column(before, name): field for name, field in old.items()}
    for name, field in new.items():
        known = old.get(name) or _renamed(former.get(_column(after, name)), field)
        for change in changes(*(_without(side, READ) for side in (known, field))) if known else ():
            yield RedFlag(f"{change.name}.{name}", f"field {name}: {_words(change)}")
    for part in ("aggregates", "derived"):
        sides = (before.get(part) or {}, after.get(part) or {})
        for name in (name for name in sides[1] if name in sides[0]):
            about = (_without(side[name], (*READ, *OF_FEATURE)) for side in sides)
            for change in changes(*about):
                yield RedFlag(f"{change.name}.{name}", f"{part} {name}: {_words(change)}")
    for change in changes(*(_without(contract, ELSEWHERE) for contract in (before, after))):
        yield RedFlag(f"contract.{change.name}", f"contract: {_words(change)}")


def _column(contract: dict[str, Any], name: str) -> tuple[str, str]:
    """Return table and column of a field."""
    field = contract["fields"][name]
    first = next(iter(contract.get("tables") or {}), "")
    return field.get("table", first), field.get("column", name)


def _renamed(former: dict[str, Any] | None, field: dict[str, Any]) -> dict[str, Any] | None:
    """Return what the base says of a column that has another field's name now."""
    place = {key: field[key] for key in ("table", "column") if key in field}
    return None if former is None else _without(former, ("table", "column")) | place


def stage_changes(before: dict[str, Any], after: dict[str, Any]) -> Iterator[RedFlag]:
    """Say which stages of dvc.yaml no longer depend on what they did, or run something else."""
    old, new = (side.get("stages") or {} for side in (before, after))
    for name, stage in old.items():
        here = new.get(name) or {}
        lost = [
            str(entry)
            for part in ("deps", "params", "outs", "metrics")
            for entry in stage.get(part) or []
            if entry not in (here.get(part) or [])
        ]
        if lost:
            words = f"dvc.yaml: the stage {name} no longer names {_first(lost)}"
            yield RedFlag(f"stage.{name}", words)
        elif stage.get("cmd") != here.get("cmd"):
            yield RedFlag(f"stage.{name}", f"dvc.yaml: the stage {name} runs another command")
        elif other := changes(*(_without(side, LISTED) for side in (stage, here))):
            words = "; ".join(_words(change) for change in other)
            yield RedFlag(f"stage.{name}", f"dvc.yaml: the stage {name}: {words}")
    for name in new.keys() - old.keys() if old else ():
        yield RedFlag(f"stage.{name}", f"dvc.yaml: the stage {name} is new")
    if before and before.get("artifacts") != after.get("artifacts"):
        yield RedFlag("artifacts", "dvc.yaml: the registry gives another file, or another name")
    if before.get("vars") != after.get("vars"):
        yield RedFlag("stage.vars", "dvc.yaml: the variables of its stages changed")


def same_fields(judgement: Judgement, revision: str | None) -> bool:
    """Return whether a revision and the head describe an application by the same fields."""
    if revision is None or judgement.params is None:
        return False
    sides = both_sides(revision, str(judgement.params.data / "contract.yaml"))
    old, new = (
        {name for name, f in (side.get("fields") or {}).items() if _known_at(f) != "outcome"}
        for side in sides
    )
    return old == new


def both_sides(base: str, path: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a YAML or JSON file at the base and in the working tree; {} where it is no mapping."""
    here = Path(path)
    text = here.read_text(errors="replace") if here.is_file() else ""
    return _mapping(revisions.content(base, path) or ""), _mapping(text)


def _mapping(text: str) -> dict[str, Any]:
    try:
        content = yaml.load(text, yaml.CSafeLoader)
    except yaml.YAMLError:
        return {}
    return content if isinstance(content, dict) else {}


def _without(mapping: dict[str, Any], keys: tuple[str, ...]) -> dict[str, Any]:
    return {key: value for key, value in mapping.items() if key not in keys}


def _known_at(field: dict[str, Any]) -> str:
    return str(field.get("known_at", "application"))


def _first(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"{', '.join(names[:3])}{more}"


def _words(change: ValueChange) -> str:
    before, after = ("unset" if v is None else v for v in (change.before, change.after))
    return f"{change.name} {before} → {after}"
