"""The command `python -m service.ledger erase`."""

import argparse
from datetime import UTC, datetime, timedelta

from sqlalchemy import Engine

from service import settings
from service.ledger.personal.erasure import erase, select_decisions
from service.ledger.personal.files import clean

_OWNER = (
    "{} of these entries were recorded by an earlier release, which kept personal data in the "
    "chain's payload; the payload was emptied, and the entry of this erasure states what is left"
)


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the options of the command."""
    parser = commands.add_parser(
        "erase", help="remove the personal parts of decisions; the chain and every proof stay"
    )
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument(
        "--reference", action="append", default=[], help="every decision of this case; repeatable"
    )
    which.add_argument(
        "--id", action="append", default=[], help="the decision with this prediction_id; repeatable"
    )
    which.add_argument(
        "--expired",
        action="store_true",
        help="every decision that is older than the setting ERASE_AFTER_DAYS",
    )
    parser.add_argument("--by", required=True, help="who erases; it is recorded")
    parser.add_argument("--why", required=True, help="why, without personal data; it is recorded")


def run(engine: Engine, options: argparse.Namespace) -> int:
    """Erase what the options name, and print what was done; raises ValueError."""
    for name in ("by", "why"):
        if not getattr(options, name).strip():
            raise ValueError(f"--{name} must not be blank")
    if any(reference in options.why for reference in options.reference):
        raise ValueError("--why must not repeat the reference: it is recorded for ever")
    before = _expiry() if options.expired else None
    ids = select_decisions(engine, options.reference, options.id, before)
    count = emptied = 0
    needles: list[str] = []
    for erased in erase(engine, ids, options.by, options.why):
        count += len(erased.sequences)
        emptied += erased.emptied
        needles += erased.needles
        print(f"erased {len(erased.sequences)} entries, as entry {erased.entry.sequence} says")
    if emptied:
        print(_OWNER.format(emptied))
    if not count:
        print("nothing to erase: no such decision has a personal part")
    print(clean(engine, needles))
    return 0


def _expiry() -> str:
    days = settings.load().erase_after_days
    if not days:
        raise ValueError("--expired needs the setting ERASE_AFTER_DAYS, a number of days above 0")
    return (datetime.now(UTC) - timedelta(days)).isoformat(timespec="seconds")[:19]
