"""How much the service takes at once."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field

from service.settings.declaration import Count, SettingsSection, require_digits, variable

MEBIBYTE = 1 << 20


class LimitSettings(SettingsSection):
    """The limits of requests."""

    max_body: Count = variable(
        "CREDIT_PD_MAX_BODY",
        MEBIBYTE,
        "The largest size of a request body, in bytes.",
        "a whole number from 1",
    )
    max_batch: Count = variable(
        "CREDIT_PD_MAX_BATCH",
        1000,
        "The largest number of applications or outcomes in one request.",
        "a whole number from 1",
    )
    max_requests: Count = variable(
        "CREDIT_PD_MAX_REQUESTS",
        512,
        "The requests that a worker answers at the same time; further ones get a 503 at once. Of "
        "single decisions it takes fewer, as many as it answers within a tenth of a second.",
        "a whole number from 1",
    )
    idempotency_days: Count = variable(
        "CREDIT_PD_IDEMPOTENCY_DAYS",
        7,
        "The days for which a repeated request with the same `Idempotency-Key` gets the recorded "
        "answer.",
        "a whole number from 1",
    )
    caller_rate: Annotated[int, BeforeValidator(require_digits), Field(ge=0)] = variable(
        "CREDIT_PD_CALLER_RATE",
        300,
        "The applications per second that one caller may send to a worker, ten seconds of them at "
        "once; further requests get a 429. It limits users only; 0 is no limit.",
        "a whole number from 0",
    )
