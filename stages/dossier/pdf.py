"""Lay out the page of the dossier as PDF by WeasyPrint, which needs the system library Pango.

A PDF depends on the fonts of a machine, so it is no output of the pipeline.
"""

from __future__ import annotations

from pathlib import Path

from stages import files
from stages.dossier.sources import DossierError

TARGET = Path("build/dossier.pdf")
VARIANT = "pdf/ua-1"  # tagged for screen readers


def write_pdf(page: Path, target: Path) -> None:
    """Lay out a page as PDF; raises DossierError where Pango is not installed."""
    try:
        from weasyprint import HTML  # noqa: PLC0415 - it fails where Pango is not installed
        from weasyprint.urls import URLFetcher  # noqa: PLC0415
    except OSError as error:
        raise DossierError(
            "a PDF needs the library Pango (on Debian: apt-get install libpango-1.0-0 "
            f"libpangoft2-1.0-0 fonts-dejavu-core; on macOS: brew install pango): {error}"
        ) from error
    html = HTML(string=page.read_text(), url_fetcher=URLFetcher(allowed_protocols=("data",)))
    with files.whole_file(target) as path:
        path.write_bytes(html.write_pdf(pdf_variant=VARIANT))
