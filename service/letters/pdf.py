"""Lay out the HTML of a letter as PDF by WeasyPrint, which needs the system library Pango.

WeasyPrint takes seconds and tens of megabytes to import, so only the first PDF of a process pays
for it. The PDF is tagged for screen readers (PDF/UA-1), and the same HTML gives the same bytes.
"""

from __future__ import annotations

from hashlib import sha256
from threading import Lock

from service.letters.creditor import LetterError

VARIANT = "pdf/ua-1"

_one_at_a_time = Lock()


def pdf_of(html: str) -> bytes:
    """Return HTML as PDF; raises LetterError where Pango is not installed.

    Nothing is fetched: images must stand in the page, as `image()` of the templates puts them.
    """
    with _one_at_a_time:
        try:
            from weasyprint import HTML  # noqa: PLC0415 - see above
            from weasyprint.urls import URLFetcher  # noqa: PLC0415
        except OSError as error:
            raise LetterError(
                "a PDF needs the library Pango (on Debian: apt-get install libpango-1.0-0 "
                f"libpangoft2-1.0-0 fonts-dejavu-core; on macOS: brew install pango): {error}"
            ) from None
        page = HTML(string=html, url_fetcher=URLFetcher(allowed_protocols=("data",)))
        identifier = sha256(html.encode()).hexdigest().encode()
        content: bytes = page.write_pdf(pdf_variant=VARIANT, pdf_identifier=identifier)
    return content
