"""The list of what a person should confirm in a drafted contract."""

from __future__ import annotations

from stages.contract.draft import contract_text
from stages.contract.draft.book import DraftField, RawBook
from stages.contract.draft.columns import dialect


def list_doubts(book: RawBook, parts: list[DraftField], date: str | None, about: str) -> list[str]:
    """Return what a person should look at, one line each."""
    kept, out = contract_text.divide_fields(parts, date)
    lines = [*_about_target(book), f"date: {date or 'none'}" + (f" ({about})" if about else "")]
    written = {name: dialect.describe(form) for name, form in book.forms.items()}
    lines += [f"table {name}: {about}" for name, about in written.items() if about]
    lines += [f"table {name} is left out: {why}" for name, why in book.unlinked.items()]
    entity, seen = contract_text.find_entity(book, parts)
    lines += [f"entity: {entity} ({seen})"] if entity else []
    window, why = contract_text.suggest_window(book, parts, date)
    lines += [f"outcome: {why}; then remove the # before `{window}`"] if window else []
    names = [p.name for p in kept if p.table == book.base]
    repeated = 0.0 if contract_text.find_key(book, parts) else book.share_repeated(names)
    if repeated > 0.01:
        lines.append(
            f"{repeated:.1%} of the rows repeat an earlier one and no column names the loan; "
            "they count as invalid (params.yaml: preprocess.max_invalid)"
        )
    for p in (p for p in kept if p.late and not p.settled):
        undo = f"remove its line `known_at: {p.late}` if it is known when the decision is made"
        lines.append(f"{p.name}: suspected leak ({p.why}); {undo}")
    lines += [
        f"{p.name}: {why}" + (f" ({p.evidence})" if p.evidence and key == "known_at" else "")
        for p in kept
        for key, why in p.guess.doubts.items()
    ]
    named = {*book.keys, contract_text.find_key(book, parts), entity}
    protected = ", ".join(p.name for p in kept if p.protected)
    if protected:
        lines.append(
            f"protected attributes, by their names: {protected}; they are never a model's input: "
            "remove the line `protected: true` of one that is none"
        )
    lines += [f"{p.name}: no feature: {p.guess.unused}" for p in kept if p.guess.unused]
    lines += [f"{p.name}: left out: {p.guess.left_out}" for p in out if p.name not in named]
    if not any(p.is_feature and p.known_at == "application" for p in kept):
        lines.append("no field is left as a feature; a model needs at least one")
    return lines


def _about_target(book: RawBook) -> list[str]:
    """Return what to confirm about the target."""
    coded = book.outcome
    bad, good, neither = map(coded.describe, (coded.bad, coded.good, coded.unknown))
    rate = contract_text.bad_rate(coded)
    lines = [f"target: bad: {bad}, {coded.why}; good: {good}; {rate:.1%} are bad"]
    if neither:
        lines.append(
            f"target: neither: {neither}; these loans take no part; --bad and --good say otherwise"
        )
    blank = 1 - sum(coded.shares.values())
    if blank > 0:
        lines.append(f"target: {blank:.1%} of the rows are blank and count as invalid")
    return lines
