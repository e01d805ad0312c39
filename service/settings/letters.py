"""Who writes letters to applicants, and by which law."""

from __future__ import annotations

from service.settings.declaration import SettingsSection, variable


class LetterSettings(SettingsSection):
    """The settings of letters. None is needed until the first letter is asked for."""

    jurisdiction: str = variable(
        "CREDIT_PD_JURISDICTION",
        "",
        "The law by which letters to applicants are worded: a folder of templates.",
        "us, eu, or a folder in CREDIT_PD_LETTERS",
    )
    letters: str = variable(
        "CREDIT_PD_LETTERS",
        "",
        "The folder of the lender's own templates for letters; those that it lacks are the "
        "shipped ones.",
        "a path",
    )
    creditor_name: str = variable(
        "CREDIT_PD_CREDITOR_NAME", "", "The lender's name in letters.", "a text"
    )
    creditor_address: str = variable(
        "CREDIT_PD_CREDITOR_ADDRESS", "", "The lender's postal address in letters.", "a text"
    )
    creditor_contact: str = variable(
        "CREDIT_PD_CREDITOR_CONTACT",
        "",
        "How applicants reach a person: telephone, e-mail, hours.",
        "a text",
    )
    regulator: str = variable(
        "CREDIT_PD_REGULATOR",
        "",
        "The name and address of the authority that supervises the lender.",
        "a text",
    )
    bureau: str = variable(
        "CREDIT_PD_BUREAU",
        "",
        "The name, address and telephone number of the consumer reporting agency, or of the "
        "credit database, whose data decisions use.",
        "a text; none where no such data are used",
    )
