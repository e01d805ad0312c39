"""Tell who writes the letters, from the settings."""

from __future__ import annotations

from dataclasses import dataclass

from service.settings import Settings

NONE = "none"  # what stands for the consumer reporting agency where none was asked


class LetterError(ValueError):
    """A letter cannot be written; the message says why and what to do."""


@dataclass(frozen=True)
class Creditor:
    """The lender as its letters name it. Texts may have several lines.

    `bureau` is None where no report of a consumer reporting agency is used.
    """

    name: str
    address: str
    contact: str
    regulator: str
    bureau: str | None
    jurisdiction: str


def creditor_of(settings: Settings) -> Creditor:
    """Return the creditor that the settings describe; raises LetterError for the first gap."""
    needed = {
        "CREDIT_PD_JURISDICTION": settings.jurisdiction,
        "CREDIT_PD_CREDITOR_NAME": settings.creditor_name,
        "CREDIT_PD_CREDITOR_ADDRESS": settings.creditor_address,
        "CREDIT_PD_CREDITOR_CONTACT": settings.creditor_contact,
        "CREDIT_PD_REGULATOR": settings.regulator,
        "CREDIT_PD_BUREAU": settings.bureau,
    }
    missing = [name for name, text in needed.items() if not text.strip()]
    if missing:
        raise LetterError(
            f"no letter can be written: set {missing[0]}; letters need {', '.join(needed)}"
        )
    jurisdiction, name, address, contact, regulator, bureau = map(str.strip, needed.values())
    used = None if bureau.lower() == NONE else bureau
    return Creditor(name, address, contact, regulator, used, jurisdiction)
