"""The headers of answers: what a browser may do with them, and what they hold."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
SECURITY_HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
FILE_HEADERS = {"cache-control": "no-cache", **SECURITY_HEADERS}
HTML_HEADERS = {
    "content-type": "text/html; charset=utf-8",
    "cache-control": "no-store",
    **SECURITY_HEADERS,
}
# An answer that is not a page needs fewer headers, and h11 checks each header of each answer.
JSON_HEADERS = {
    "content-type": "application/json",
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
}
# Letters hold their style and images themselves, and need nothing else.
LETTER_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)
DOCUMENT_HEADERS = {
    ".html": {**HTML_HEADERS, "content-security-policy": LETTER_POLICY},
    ".pdf": {**JSON_HEADERS, "content-type": "application/pdf"},
}
PROBLEM_HEADERS = {**JSON_HEADERS, "content-type": "application/problem+json"}  # RFC 9457


def headers_of(path: str) -> Mapping[str, str]:
    """Return the headers of the answers at a path."""
    if path == "/docs":
        return HTML_HEADERS
    return DOCUMENT_HEADERS.get(PurePath(path).suffix, JSON_HEADERS)
