"""Judge the change in the current folder: every step, in its order."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from release import dvc_state, revisions
from release.gate import (
    checks,
    comparison,
    limits,
    predictions,
    provenance,
    ratchet,
    recalculation,
    reproduction,
    rescoring,
)
from release.gate.checks import Finding
from release.gate.judgement import Judgement, Suspicion
from release.gate.limits import Limits
from release.gate.predictions import Predictions
from release.gate.provenance import listed
from release.gate.suspicions import acknowledgements, declarations, directions, features, gains
from release.revisions import CannotJudge
from stages import params
from stages.params import Params
from stages.policy import Policy


def judge(
    revision: str,
    *,
    remote: bool,
    pushed: bool | None = None,
    reproduced: Path | None = None,
) -> Judgement:
    """Judge the repository in the current folder against a base revision."""
    found = Judgement(revision)
    found.head = found.attempt("head", revisions.head) or ""
    if not found.head:
        return found
    base = found.attempt("base", lambda: (revisions.base(revision),))
    if base is None:
        return found
    found.base = base[0]
    if found.base == found.head:
        words = f"{revision} is HEAD itself: there is no change to judge"
        found.findings.append(Finding("base", "cannot judge", words))
    found.add("policy", lambda: policy(found))
    found.add("commit", provenance.committed)
    found.attempt("pipeline", lambda: stored(found, remote=remote, pushed=pushed))
    found.add("metrics", lambda: challenger(found))
    found.add("reproduction", lambda: reproduction.compared(reproduced))
    found.add("attention", lambda: declarations.notices(found))
    found.suspect(lambda: declarations.suspicions(found))
    found.suspect(lambda: directions.suspicions(found))
    table, config, rules = found.predictions, found.params, found.limits
    if table and config:
        found.add("rescoring", lambda: rescoring.compared(found, table, reproduced))
    if table and config and rules:
        found.add("challenger", lambda: alone(found, table, config.policy, rules))
        if former := found.champion:
            found.add("champion", lambda: against(found, former, table, config, rules))
        found.attempt("ratchet", lambda: best(found, rules, remote=remote))
        found.suspect(lambda: gains.suspicions(found, rules.suspicious))
    if rules:
        found.suspect(lambda: features.suspicions(found, rules.suspicious))
    found.add("suspicion", lambda: acknowledgements.answered(found.suspicions, found.base))
    return found


def policy(found: Judgement) -> Iterator[Finding]:
    """Read the base's gate policy, and tell what the head's would let pass."""
    text = dvc_state.read_text(Path(limits.PATH))
    head = limits.read(text)
    held = revisions.content(found.base, limits.PATH) if found.base else None
    if held is not None:
        found.limits = limits.read(held, f"{limits.PATH} at the base")
    elif found.base and recalculation.published_at(found.base) is not None:
        raise CannotJudge(
            f"the base {found.revision} has a champion and no {limits.PATH}: a change cannot bring "
            "its own gate; commit the policy to the base first"
        )
    else:
        found.limits = head
    where = f"of {found.revision}" if held is not None else "of this first commit"
    yield Finding("policy", "pass", f"judged by the {limits.PATH} {where}")
    for words in limits.loosened(found.limits, head):
        yield Finding("policy", "note", f"loosened, without effect on this judgement: {words}")


def stored(found: Judgement, *, remote: bool, pushed: bool | None) -> None:
    """Check what DVC vouches for, and read the champion that it holds."""
    with dvc_state.open_storage(remote=remote) as held:
        found.add("pipeline", lambda: provenance.reproduced(held))
        found.add("remote", lambda: provenance.pushed(held, confirmed=pushed))
        found.add("champion", lambda: champion(found, held))


def best(found: Judgement, rules: Limits, *, remote: bool) -> None:
    """Compare with the best model since the last reset."""
    with dvc_state.open_storage(remote=remote) as held:
        found.add("ratchet", lambda: ratchet.judge(found, held, rules))


def challenger(found: Judgement) -> Iterator[Finding]:
    """Read the head's figures and prove them by its predictions."""
    dvc_state.read_text(Path("params.yaml"))
    found.params = config = params.load()
    stated = recalculation.published(dvc_state.read_text(Path(recalculation.PATH)))
    found.metrics = stated
    if found.limits:
        found.limits = found.limits.of(config.dataset)
        if absent := recalculation.unknown(stated, found.limits.required):
            words = f"{recalculation.PATH} has no finite value and interval for {listed(absent)}"
            raise CannotJudge(words)
    path = Path(predictions.PATH)
    if not path.is_file():
        raise CannotJudge(f"{path} is missing: run `dvc pull` or `dvc repro`")
    table = Predictions.read(path.read_bytes(), predictions.PATH)
    found.predictions = table
    wrong = []
    if count := recalculation.misdecided(table, config):
        wrong.append(f"{count:,} decisions differ from the policy in params.yaml")
    wrong.extend(recalculation.differences(stated, recalculation.recount(table, config)))
    headlines = dvc_state.read_text(Path(recalculation.HEADLINES))
    wrong.extend(recalculation.wrong_headlines(headlines, stated))
    if wrong:
        words = f"{recalculation.PATH} is not what the predictions give: {listed(wrong)}"
        yield Finding("metrics", "fail", words)
    else:
        yield Finding("metrics", "pass", "every figure follows from the predictions")


def champion(found: Judgement, held: dvc_state.Storage) -> Iterator[Finding]:
    """Read the base's predictions; without a model at the base there are floors only."""
    figures = recalculation.published_at(found.base) if found.base else None
    if figures is None or found.base is None:
        yield Finding("champion", "note", "the base has no model yet: floors only")
        return
    version = dvc_state.locked_version(
        revisions.content(found.base, "dvc.lock") or "", predictions.PATH
    )
    if version is None:
        raise CannotJudge(f"dvc.lock at the base names no {predictions.PATH}")
    name = f"{predictions.PATH} of the base"
    found.champion = Predictions.read(held.read(version[0], name), name)
    found.champion_metrics = figures


def alone(found: Judgement, table: Predictions, policy: Policy, rules: Limits) -> Iterator[Finding]:
    """Judge the challenger by itself: floors, calibration and groups on all its test rows."""
    rows = predictions.judged(table.split("test"))
    yield from checks.enough(rows, rules)
    found.challenger = comparison.draw(rows, policy.pd_cut_off, policy)
    yield from checks.floors(found.challenger.estimates, rules)
    yield from checks.calibration(found.challenger, rules.calibration)
    found.groups = checks.groups(rows, table.split("test"), rules.groups)
    yield from checks.fairness(found.groups, rules.groups)


def against(
    found: Judgement, champion: Predictions, table: Predictions, config: Params, rules: Limits
) -> Iterator[Finding]:
    """Judge the challenger against the champion, both valued by the challenger's policy."""
    figures = found.champion_metrics or {}
    lost = sorted({*champion.attributes} - {*table.attributes})
    if figures.get("dataset") != config.dataset:
        for name in lost:
            words = f"{name}, a protected attribute, is not measured on the new dataset"
            found.suspicions.append(Suspicion(f"unmeasured.{name}", words))
        yield another_book(str(figures.get("dataset")), config.dataset, rules)
        return
    if lost:
        yield Finding("groups", "fail", f"no longer measured by protected group: {listed(lost)}")
    same = declarations.same_fields(found, found.base)
    both = comparison.pair(champion, table, same_fields=same)
    yield from checks.common(both, rules)
    if not both.rows:
        return
    cut_off = recalculation.cut_off(figures)
    old = comparison.draw(both.champion, cut_off, config.policy)
    new = comparison.draw(both.challenger, config.policy.pd_cut_off, config.policy)
    found.delong = comparison.delong(both)
    found.paired = both
    found.differences = comparison.compare(old, new, found.delong)
    yield from checks.losses(found.differences, rules)


def another_book(old: str, new: str, rules: Limits) -> Finding:
    """Return the note on another book, which has no row in common and is judged by floors."""
    words = f"the base's model is of {old}, this one of {new}: no row is common"
    if new not in rules.books:
        raise CannotJudge(
            f"{words}, and books in the base's {limits.PATH} does not name {new}: commit its "
            "contract and its floors to the base first"
        )
    return Finding("champion", "note", f"{words}; judged by the floors that the base has for it")
