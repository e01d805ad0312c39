"""Handle requests for letters and explanations to applicants, as HTML and as PDF."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from service import settings
from service.api.handlers.state import EngineState
from service.api.load.limits import Turnstile
from service.api.requests import Request, Response, Routes, refusal
from service.letters.content import Record, letter_about
from service.letters.creditor import LetterError, creditor_of
from service.letters.explanation import explanation_about
from service.letters.pdf import pdf_of
from service.letters.rendering import Templates

Written = TypeVar("Written")

TURNS = (1, 16)  # letters that are written at once, and that wait


class Letters:
    """The endpoints of letters, which need no model, and of explanations for applicants."""

    def __init__(self, state: EngineState) -> None:
        self.state = state
        self._turns = Turnstile(*TURNS)
        self.routes: Routes = {
            "/predictions/{id}/letter.html": {"GET": self.letter_html},
            "/predictions/{id}/letter.pdf": {"GET": self.letter_pdf},
            "/predictions/{id}/explanation.html": {"GET": self.explanation_html},
            "/predictions/{id}/explanation.pdf": {"GET": self.explanation_pdf},
        }

    async def letter_html(self, request: Request) -> Response:
        """Return the letter about a decision as HTML."""
        return 200, (await self._write(request, letter)).encode()

    async def letter_pdf(self, request: Request) -> Response:
        """Return the letter about a decision as PDF."""
        return 200, await self._write(request, lambda record: pdf_of(letter(record)))

    async def explanation_html(self, request: Request) -> Response:
        """Return the explanation of a decision for the applicant as HTML."""
        return 200, (await self._write(request, self.explanation)).encode()

    async def explanation_pdf(self, request: Request) -> Response:
        """Return the explanation of a decision for the applicant as PDF."""
        return 200, await self._write(request, lambda record: pdf_of(self.explanation(record)))

    def explanation(self, record: Record) -> str:
        """Return the explanation of a recorded decision as HTML; raises LetterError."""
        configured = settings.load()
        content = explanation_about(record, creditor_of(configured), self.state.engine)
        return Templates(configured.letters).explanation(content)

    async def _write(self, request: Request, write: Callable[[Record], Written]) -> Written:
        """Return what `write` makes of the recorded decision, in a thread."""
        record = (await self.state.find_decision(request.id)).as_dict()
        async with self._turns.pass_through():
            try:
                return await asyncio.to_thread(write, record)
            except LetterError as error:
                raise refusal(409, str(error)) from None


def letter(record: Record) -> str:
    """Return the letter about a recorded decision as HTML; raises LetterError."""
    configured = settings.load()
    creditor = creditor_of(configured)
    return Templates(configured.letters).letter(letter_about(record, creditor))
