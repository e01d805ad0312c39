"""The page that documents the API: complete, of this service alone, and without a script."""

from __future__ import annotations

import re
from collections import Counter
from html.parser import HTMLParser

import pytest

from service.api.description import docs, openapi
from service.decision.applications import Applications
from stages.contract import reading
from tests.support.books import ROOT


class Page(HTMLParser):
    """The ids, links and loaded files of a page, and its text."""

    def __init__(self, content: str) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.ids: set[str] = set()
        self.links: set[str] = set()
        self.text = ""
        self.feed(content)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        values = {name: value or "" for name, value in attrs}
        assert not any(name.startswith("on") or name == "style" for name in values)
        if "id" in values:
            assert values["id"] not in self.ids
            self.ids.add(values["id"])
        self.links |= {values[name] for name in ("href", "src") if name in values}

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module", params=["loan_book", "loan_applications", None])
def document(request: pytest.FixtureRequest) -> dict[str, object]:
    if request.param is None:
        return openapi.describe(None, 10, keys=True)
    contract = reading.load(request.param, ROOT / "data")
    return openapi.describe(Applications(contract, "application"), 10, keys=False)


@pytest.fixture(scope="module")
def page(document: dict[str, object]) -> Page:
    return Page(docs.render(document).decode())


def test_every_endpoint_and_every_field_is_documented(
    page: Page, document: dict[str, dict]
) -> None:
    for path, methods in document["paths"].items():
        assert path in page.text
        for described in methods.values():
            assert described["summary"] in page.text
    schemas = document["components"]["schemas"]
    assert schemas.keys() <= page.ids
    for schema in schemas.values():
        for name in schema.get("properties", {}):
            assert re.search(rf"\b{name}\b", page.text), name


def test_every_link_leads_somewhere_on_this_service(page: Page) -> None:
    assert {link[1:] for link in page.links if link.startswith("#")} <= page.ids
    others = {link for link in page.links if not link.startswith("#")}
    assert others == {"./", "docs", "docs.json", "ui/icon.svg", "ui/style.css", "ui/docs.css"}


def test_the_page_needs_no_script(page: Page) -> None:
    assert page.tags["script"] == 0


def test_texts_of_the_contract_are_escaped() -> None:
    document = openapi.describe(None, 10, keys=False)
    document["info"]["description"] = "<script>alert(1)</script>"
    assert b"<script" not in docs.render(document)


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"$ref": "#/components/schemas/Answer"}, "Answer"),
        ({"anyOf": [{"type": "number"}, {"type": "null"}]}, "number or null"),
        ({"enum": ["approve", "refer"]}, '"approve", "refer"'),
        ({"const": True}, "true"),
        ({"type": "array", "items": {"type": "string"}}, "list of string"),
        ({"type": "integer", "minimum": 1, "maximum": 120}, "integer from 1 to 120"),
        ({"type": "string", "maxLength": 200}, "string of at most 200 characters"),
        ({}, "any value"),
    ],
)
def test_the_values_of_a_field_are_described_in_words(
    schema: dict[str, object], words: str
) -> None:
    assert docs.type_name(schema) == words
