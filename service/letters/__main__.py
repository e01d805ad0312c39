"""Write the letter about a recorded decision: `python -m service.letters ID --output letter.pdf`.

Exit codes: 0 the letter is written, 2 it cannot be; the message says why.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from service import settings
from service.ledger import Ledger, LedgerUnavailable
from service.ledger.storage.database import database_url
from service.ledger.storage.database_file import require_file
from service.letters.content import letter_about
from service.letters.creditor import LetterError, creditor_of
from service.letters.pdf import pdf_of
from service.letters.rendering import Templates
from stages import project


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = argparse.ArgumentParser("python -m service.letters", description=__doc__)
    parser.add_argument("--database", metavar="URL", help="instead of DATABASE_URL")
    parser.add_argument(
        "--output",
        type=project.resolve,
        metavar="FILE",
        help="a file that ends in .html or .pdf; else HTML is printed",
    )
    parser.add_argument("id", help="the prediction_id of the decision")
    options = parser.parse_args(arguments)
    try:
        write(letter_html(options.database, options.id), options.output)
    except (LedgerUnavailable, LetterError, settings.SettingsError) as error:
        print(f"letters: {error}", file=sys.stderr)
        return 2
    return 0


def letter_html(database: str | None, entry_id: str) -> str:
    """Return the letter about a recorded decision as HTML; raises LetterError."""
    configured = settings.load()
    creditor, templates = creditor_of(configured), Templates(configured.letters)
    require_file(database_url(database))
    ledger = Ledger(database)
    try:
        record = ledger.get(entry_id)
    finally:
        ledger.close()
    if record is None or record.entry.kind != "decision":
        raise LetterError(f"no decision has the id {entry_id}")
    return templates.letter(letter_about(record.as_dict(), creditor))


def write(html: str, output: Path | None) -> None:
    """Write HTML to a file, as PDF if its name ends so, or print it; raises LetterError."""
    if output is None:
        print(html)
        return
    if output.suffix not in (".html", ".pdf"):
        raise LetterError(f"--output must end in .html or .pdf; got {output}")
    content = pdf_of(html) if output.suffix == ".pdf" else html.encode()
    try:
        output.write_bytes(content)
    except OSError as error:
        raise LetterError(f"--output {output} cannot be written: {error.strerror}") from error


if __name__ == "__main__":
    project.enter()
    sys.exit(main())
