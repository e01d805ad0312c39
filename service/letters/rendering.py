"""Fill the templates of letters: those of the lender's folder first, then those shipped here.

A jurisdiction is a folder of templates: `approve.html`, `decline.html` and `refer.html`.
"""

from __future__ import annotations

from base64 import b64encode
from dataclasses import asdict
from mimetypes import guess_type
from pathlib import Path
from typing import Any

from jinja2 import FileSystemLoader, StrictUndefined, TemplateError, TemplateNotFound
from jinja2.sandbox import SandboxedEnvironment

from service.letters.content import Letter
from service.letters.creditor import LetterError

# What the expressions of a template raise, and a file that is no UTF-8.
TEMPLATE_FAULTS = (
    TemplateError,
    ArithmeticError,
    AttributeError,
    LookupError,
    TypeError,
    ValueError,
)
SHIPPED = Path(__file__).parent / "templates"


class Templates:
    """The templates of one lender."""

    def __init__(self, folder: str = "") -> None:
        """Take templates from `folder` where it has them; raises LetterError if it is not there."""
        if folder and not Path(folder).is_dir():
            raise LetterError(f"CREDIT_PD_LETTERS must be a folder of templates; got {folder}")
        self._folders = [Path(folder), SHIPPED] if folder else [SHIPPED]
        self._environment = SandboxedEnvironment(
            loader=FileSystemLoader(self._folders),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.globals["image"] = self.image

    def letter(self, letter: Letter) -> str:
        """Return a letter as HTML; raises LetterError where its template cannot be filled."""
        return self.fill(f"{letter.creditor.jurisdiction}/{letter.outcome}.html", asdict(letter))

    def explanation(self, content: dict[str, Any]) -> str:
        """Return an explanation as HTML; raises LetterError where its template cannot be filled."""
        return self.fill("explanation.html", content)

    def fill(self, name: str, content: dict[str, Any]) -> str:
        """Return a template filled with this content and nothing else; raises LetterError."""
        try:
            return self._environment.get_template(name).render(content)
        except TemplateNotFound as error:
            raise LetterError(
                f"there is no template {error.name}: CREDIT_PD_JURISDICTION must be one of "
                f"{', '.join(self.jurisdictions())}"
            ) from None
        except TEMPLATE_FAULTS as error:
            raise LetterError(f"the template {name} cannot be filled: {error}") from None

    def jurisdictions(self) -> list[str]:
        """Return the jurisdictions that have templates."""
        found = {path.parent.name for each in self._folders for path in each.glob("*/decline.html")}
        return sorted(found)

    def image(self, name: str) -> str:
        """Return a file beside the templates as a `data:` address, so that a page needs no other.

        Raises TemplateNotFound.
        """
        for folder in self._folders:
            path = (folder / name).resolve()
            if path.is_file() and path.is_relative_to(folder.resolve()):
                kind = guess_type(name)[0] or "application/octet-stream"
                return f"data:{kind};base64,{b64encode(path.read_bytes()).decode()}"
        raise TemplateNotFound(name)
