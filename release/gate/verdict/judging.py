"""Judge the change in the current folder: every step, in its order."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from release import dvc_state, revisions
from release.gate import (
    checks,
    comparison,
    limits,
    parameters,
    predictions,
    provenance,
    recalculation,
)
from release.gate.checks import Finding
from release.gate.judgement import Judgement, RedFlag
from release.gate.limits import Limits
from release.gate.parameters import JudgedParameters
from release.gate.predictions import Predictions
from release.gate.provenance import first_few
from release.gate.red_flags import (
    acknowledgements,
    declarations,
    directions,
    features,
    gains,
    rows,
    sources,
)
from release.gate.reproduction import (
    blind_training,
    judged_rows,
    outputs,
    preparation,
    rescoring,
)
from release.gate.reproduction import directions as followed
from release.gate.verdict import published, ratchet
from release.revisions import CannotJudge
from service.decision import hashes
from stages.policy.decisions import Policy


def judge(
    revision: str,
    *,
    remote: bool,
    pushed: bool | None = None,
    reproduced: Path | None = None,
    blind: Path | None = None,
) -> Judgement:
    """Judge the repository in the current folder against a base revision."""
    judgement = Judgement(revision)
    judgement.head = judgement.attempt("head", revisions.head) or ""
    if not judgement.head:
        return judgement
    base = judgement.attempt("base", lambda: (revisions.base(revision),))
    if base is None:
        return judgement
    judgement.base = base[0]
    judgement.models = shipped_models()
    if judgement.base == judgement.head:
        words = f"{revision} is HEAD itself: there is no change to judge"
        judgement.findings.append(Finding("base", "cannot judge", words))
    judgement.add("policy", lambda: read_policy(judgement))
    judgement.add("commit", provenance.check_committed)
    judgement.attempt("pipeline", lambda: read_champion(judgement, remote=remote, pushed=pushed))
    judgement.add("metrics", lambda: read_challenger(judgement))
    judgement.add("reproduction", lambda: outputs.compare(reproduced))
    judgement.add(blind_training.CHECK, lambda: blind_training.compare(judgement, blind))
    judgement.add("attention", lambda: declarations.notices(judgement))
    judgement.add_red_flags(lambda: declarations.find_red_flags(judgement))
    judgement.add_red_flags(lambda: sources.find_red_flags(judgement))
    judgement.add_red_flags(lambda: directions.find_red_flags(judgement))
    judgement.add_red_flags(lambda: preparation.find_red_flags(judgement))
    judgement.add_red_flags(lambda: followed.find_red_flags(judgement))
    table, config, rules = judgement.predictions, judgement.params, judgement.limits
    if table and config:
        judgement.add("rescoring", lambda: rescoring.compare(judgement, table, reproduced))
        judgement.add(judged_rows.CHECK, lambda: judged_rows.compare(judgement, table))
    if table and config and rules:
        judgement.add("challenger", lambda: judge_alone(judgement, table, config.policy, rules))
        if former := judgement.champion:
            judgement.add(
                "champion", lambda: judge_against_champion(judgement, former, table, config, rules)
            )
        judgement.attempt("ratchet", lambda: compare_with_former(judgement, rules, remote=remote))
        judgement.add_red_flags(lambda: gains.find_red_flags(judgement, rules.suspicious))
    if rules:
        judgement.add_red_flags(lambda: features.find_red_flags(judgement, rules.suspicious))
    judgement.add(
        "red flag", lambda: acknowledgements.check_answers(judgement.red_flags, judgement.base)
    )
    return judgement


def shipped_models() -> dict[str, str]:
    """Return the SHA-256 of each model file that an image of this change will hold."""
    files = [path for path in hashes.FILES if path.is_file()]
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def read_policy(judgement: Judgement) -> Iterator[Finding]:
    """Read the base's gate policy, and tell what the head's would let pass."""
    text = dvc_state.read_text(Path(limits.PATH))
    head, unknown = limits.read_known(text)
    held = revisions.content(judgement.base, limits.PATH) if judgement.base else None
    if held is not None:
        judgement.limits = limits.read(held, f"{limits.PATH} at the base")
    elif judgement.base and recalculation.published_at(judgement.base) is not None:
        raise CannotJudge(
            f"the base {judgement.revision} has a champion and no {limits.PATH}: a change cannot "
            "bring its own gate; commit the policy to the base first"
        )
    else:
        judgement.limits = head
    where = f"of {judgement.revision}" if held is not None else "of this first commit"
    yield Finding("policy", "pass", f"judged by the {limits.PATH} {where}")
    if unknown:
        words = f"{limits.PATH} has limits that this gate does not know: {first_few(unknown)}"
        yield Finding("policy", "note", f"{words}; they count once its code is on the base")
    for words in limits.list_loosened(judgement.limits, head):
        yield Finding("policy", "note", f"loosened, without effect on this judgement: {words}")
        name = words.partition(":")[0]
        if name != limits.RESETS:  # an entry of its own says who and why
            later = f"{limits.PATH} is loosened for every change to come: {words}"
            judgement.red_flags.append(RedFlag(f"limit.{name}", later))


def read_champion(judgement: Judgement, *, remote: bool, pushed: bool | None) -> None:
    """Check what DVC vouches for, and read the champion that it holds."""
    with dvc_state.open_storage(remote=remote) as held:
        judgement.add("pipeline", lambda: provenance.check_reproduced(held))
        judgement.add("remote", lambda: provenance.check_pushed(held, confirmed=pushed))
        judgement.add("champion", lambda: check_champion(judgement, held))


def compare_with_former(judgement: Judgement, rules: Limits, *, remote: bool) -> None:
    """Compare with the best model since the last reset, and with the loans of the base."""
    with dvc_state.open_storage(remote=remote) as held:
        judgement.add("ratchet", lambda: ratchet.check_ratchet(judgement, held, rules))
        judgement.add_red_flags(lambda: rows.find_red_flags(judgement, held, rules.suspicious))


def read_challenger(judgement: Judgement) -> Iterator[Finding]:
    """Read the head's figures and prove them by its predictions."""
    judgement.params, judgement.unknown = config, _ = parameters.read()
    stated = recalculation.read_published(dvc_state.read_text(Path(recalculation.PATH)))
    judgement.metrics = stated
    if judgement.limits:
        judgement.limits = judgement.limits.of(config.dataset)
        if absent := recalculation.figures_without_value(stated, judgement.limits.required_figures):
            words = f"{recalculation.PATH} has no finite value and interval for {first_few(absent)}"
            raise CannotJudge(words)
    path = Path(predictions.PATH)
    if not path.is_file():
        raise CannotJudge(f"{path} is missing: run `dvc pull` or `dvc repro`")
    table = Predictions.read(path.read_bytes(), predictions.PATH)
    judgement.predictions = table
    yield from published.check_figures(judgement, table, config, stated)


def check_champion(judgement: Judgement, held: dvc_state.Storage) -> Iterator[Finding]:
    """Read the base's predictions; without a model at the base there are floors only."""
    figures = recalculation.published_at(judgement.base) if judgement.base else None
    if figures is None or judgement.base is None:
        yield Finding("champion", "note", "the base has no model yet: floors only")
        return
    lock = revisions.content(judgement.base, "dvc.lock") or ""
    version = dvc_state.locked_outputs(lock).get(predictions.PATH)
    if version is None:
        raise CannotJudge(f"dvc.lock at the base names no {predictions.PATH}")
    name = f"{predictions.PATH} of the base"
    judgement.champion = Predictions.read(held.read(version[0], name), name)
    judgement.champion_metrics = figures


def judge_alone(
    judgement: Judgement, table: Predictions, policy: Policy, rules: Limits
) -> Iterator[Finding]:
    """Judge the challenger by itself: floors, calibration and groups on all its test rows."""
    tested = predictions.judge_rows(table.split("test"))
    yield from checks.enough_outcomes(tested, rules)
    judgement.challenger = comparison.draw(tested, policy.pd_cut_off, policy)
    yield from checks.floors(judgement.challenger.estimates, rules)
    yield from checks.calibration(judgement.challenger, rules.calibration)
    judgement.groups = checks.groups(tested, table.split("test"), rules.groups)
    yield from checks.fairness(judgement.groups, rules.groups)


def judge_against_champion(
    judgement: Judgement,
    champion: Predictions,
    table: Predictions,
    config: JudgedParameters,
    rules: Limits,
) -> Iterator[Finding]:
    """Judge the challenger against the champion, both valued by the challenger's policy."""
    figures = judgement.champion_metrics or {}
    lost = sorted({*champion.attributes} - {*table.attributes})
    renamed = figures.get("dataset") != config.dataset
    if renamed and not comparison.is_same_book(champion, table, rules.min_common_rows):
        judgement.red_flags.extend(sources.tables_of_another_book(judgement, config.dataset))
        for name in lost:
            words = f"{name}, a protected attribute, is not measured on the new dataset"
            judgement.red_flags.append(RedFlag(f"unmeasured.{name}", words))
        yield another_book(str(figures.get("dataset")), config.dataset, rules)
        return
    if lost:
        yield Finding("groups", "fail", f"no longer measured by protected group: {first_few(lost)}")
    gone = rows.lost_groups(champion, table, rules.groups.max_unjudged_rows)
    if gone:
        yield Finding("groups", "fail", f"nobody is any more in the groups {first_few(gone)}")
    same = declarations.same_fields(judgement, judgement.base)
    both = comparison.pair(champion, table, same_fields=same)
    yield from checks.enough_common_rows(both, rules)
    if not both.rows:
        return
    cut_off = recalculation.cut_off(figures)
    old = comparison.draw(both.champion, cut_off, config.policy)
    new = comparison.draw(both.challenger, config.policy.pd_cut_off, config.policy)
    judgement.delong = comparison.delong(both)
    judgement.paired = both
    judgement.differences = comparison.compare(old, new, judgement.delong)
    yield from checks.losses(judgement.differences, rules)


def another_book(old: str, new: str, rules: Limits) -> Finding:
    """Return the note on another book, which has no row in common and is judged by floors."""
    words = f"the base's model is of {old}, this one of {new}: no row is common"
    if new not in rules.books:
        raise CannotJudge(
            f"{words}, and books in the base's {limits.PATH} does not name {new}: commit its "
            "contract and its floors to the base first"
        )
    return Finding("champion", "note", f"{words}; judged by the floors that the base has for it")
