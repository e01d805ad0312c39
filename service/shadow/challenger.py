"""Pack and load the folder of a challenger, and score recorded applications with it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from service.decision.applications import InvalidApplication
from service.decision.engine import Engine
from service.decision.hashes import FILES, LOCK, MANIFEST, NotReady, manifest, read, read_verified
from service.ledger import Draft, draft

KIND = "shadow"
ANSWER = ("default_probability", "credit_score", "rating", "decision", "identity")
PARAMETERS = Path("params.yaml")


class Recorded(NamedTuple):
    """A recorded decision; `application` is None where it was erased."""

    sequence: int
    id: str
    application: dict[str, Any] | None


def pack(checkout: Path, folder: Path) -> None:
    """Write the model and the policy of a checkout, with a manifest, into a new folder.

    Raises NotReady where a file is missing or is not what dvc.lock states, and where the folder
    exists.
    """
    contents = read_verified(checkout)
    if absent := [str(path) for path in FILES if path not in contents]:
        raise NotReady(f"{checkout} has no {', no '.join(absent)}; run `dvc checkout` there")
    texts = {path: read(checkout, path) for path in (PARAMETERS, LOCK)}
    if folder.exists():
        raise NotReady(f"{folder} exists; name a folder that does not")
    (folder / MANIFEST).parent.mkdir(parents=True)
    for path, content in {**contents, **texts}.items():
        (folder / path).write_bytes(content)
    (folder / MANIFEST).write_text(manifest(contents))


def load(folder: Path) -> Engine:
    """Return the engine of a challenger, whose files have the hashes that its folder states.

    Raises NotReady where one has not, and where the folder states none.
    """
    if not any((folder / path).exists() for path in (MANIFEST, LOCK)):
        raise NotReady(
            f"{folder} has no {MANIFEST} and no {LOCK}, which would state the hashes of its files: "
            "make it by `python -m service.shadow pack CHECKOUT FOLDER`"
        )
    return Engine.load(folder)


def score(engine: Engine, decisions: Sequence[Recorded]) -> list[Draft]:
    """Return the draft of the challenger's score of each recorded decision.

    Fields that its contract does not have are left out. An application that it cannot score gives
    `refused`: the fields and what is wrong with each in one word, without their values.
    """
    checked: dict[str, dict[str, Any]] = {}
    contents: dict[str, dict[str, Any]] = {}
    for decision in decisions:
        refused = [{"field": "", "code": "erased"}]
        if decision.application is not None:
            try:
                checked[decision.id] = check(engine, decision.application)
                continue
            except InvalidApplication as error:
                refused = [{"field": p.field, "code": p.code or "refused"} for p in error.problems]
        contents[decision.id] = {"identity": engine.identity, "refused": refused}
    answers = engine.decide_rows([*checked.values()])
    for decision_id, answer in zip(checked, answers, strict=True):
        contents[decision_id] = {name: getattr(answer, name) for name in ANSWER}
    return [draft(KIND, contents[decision.id], refers_to=decision.id) for decision in decisions]


def check(engine: Engine, application: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of an application that the challenger knows; raises InvalidApplication."""
    names = engine.applications.names
    return engine.applications.check({n: v for n, v in application.items() if n in names})
