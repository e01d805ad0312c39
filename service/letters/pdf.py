"""Lay out the HTML of a letter as PDF by WeasyPrint, which needs the system library Pango.

WeasyPrint takes a hundred megabytes, which a process does not give back: each PDF is therefore
made by a process that ends. The PDF is tagged for screen readers (PDF/UA-1), and the same HTML
gives the same bytes.
"""

from __future__ import annotations

import os
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

from service.letters.creditor import LetterError

VARIANT = "pdf/ua-1"
TIMEOUT = 60  # seconds
NO_PANGO, NO_FONT = 3, 4  # exit codes
ROOT = Path(__file__).parents[2]


def pdf_of(html: str) -> bytes:
    """Return HTML as PDF; raises LetterError where Pango, or a font that it needs, is missing.

    Nothing is fetched: images must stand in the page, as `image()` of the templates puts them.
    """
    done = subprocess.run(
        [sys.executable, "-m", __name__],
        input=html.encode(),
        capture_output=True,
        timeout=TIMEOUT,
        check=False,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    if done.returncode == NO_PANGO:
        raise LetterError(
            "a PDF needs the library Pango (on Debian: apt-get install libpango-1.0-0 "
            "libpangoft2-1.0-0 fonts-dejavu-core; on macOS: brew install pango): "
            f"{done.stderr.decode()}"
        )
    if done.returncode == NO_FONT:
        raise LetterError(
            f"no PDF can be made: no font of this machine has {done.stderr.decode()}; install one "
            "that has (on Debian, for example, apt-get install fonts-noto-core fonts-noto-cjk), "
            "or use the HTML"
        )
    if done.returncode:
        raise LetterError(f"no PDF could be made: {done.stderr.decode()[-500:]}")
    return done.stdout


def main() -> None:
    """Lay out the HTML of standard input, and write the PDF to standard output."""
    try:
        from weasyprint import HTML  # noqa: PLC0415 - it fails where Pango is not installed
        from weasyprint.urls import URLFetcher  # noqa: PLC0415
    except OSError as error:
        print(error, end="", file=sys.stderr)
        sys.exit(NO_PANGO)
    html = sys.stdin.buffer.read().decode()
    page = HTML(string=html, url_fetcher=URLFetcher(allowed_protocols=("data",)))
    identifier = sha256(html.encode()).hexdigest().encode()
    document = page.render(pdf_variant=VARIANT)
    pdf = document.write_pdf(pdf_variant=VARIANT, pdf_identifier=identifier)
    # PDF/UA forbids the boxes that stand for them, and nobody can read them.
    missing = {chr(code) for font in document.fonts.values() for code in font.missing}
    if unreadable := sorted(filter(str.isprintable, missing)):
        print(", ".join(unreadable), end="", file=sys.stderr)
        sys.exit(NO_FONT)
    sys.stdout.buffer.write(pdf)


if __name__ == "__main__":
    main()
