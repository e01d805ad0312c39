"""Read the lines of a history from a feature server of Feast, over HTTP.

A feature view has one feature, `lines`: the lines of a key as a text of JSON. Its event timestamp
is the time of the load. `python -m stages.contract feast` writes the definitions.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import httpx
from pydantic import AwareDatetime, BaseModel, Field, ValidationError

from service.sources.fetched import (
    FetchedLines,
    Key,
    SourceAway,
    SourceError,
    Wanted,
    require_fresh,
)
from service.sources.values import lines_reader
from stages.contract.tables import FeatureSource, History

FEATURE = "lines"
KEYS = 50  # of one request
LARGEST = 32 << 20  # bytes of an answer


class Names(BaseModel):
    """The names of the results, in their order."""

    feature_names: list[str]


class Result(BaseModel):
    """The values of one feature for the keys of the request."""

    values: list[object]
    statuses: list[str]
    event_timestamps: list[AwareDatetime]


class OnlineFeatures(BaseModel):
    """An answer of the feature server."""

    metadata: Names
    results: list[Result] = Field(min_length=1)


class FeastReader:
    """Reads the lines of histories from one feature server; a request may take `deadline` s."""

    def __init__(self, url: str, deadline: float, histories: dict[str, History]) -> None:
        self._deadline, self._histories = deadline, histories
        self._readers = {name: lines_reader(history) for name, history in histories.items()}
        self._client = httpx.Client(base_url=url, timeout=deadline, trust_env=False)

    def read(self, wanted: Wanted) -> dict[str, FetchedLines]:
        """Return the lines of keys by history; raises SourceError."""
        fetched = {}
        for name, asked in wanted.items():
            keys = [*asked]
            fetched[name] = FetchedLines({}, {})
            for start in range(0, len(keys), KEYS):
                self._read_some(name, keys[start : start + KEYS], fetched[name])
        return fetched

    def close(self) -> None:
        """Close the connections to the server."""
        self._client.close()

    def _read_some(self, name: str, keys: Sequence[Key], out: FetchedLines) -> None:
        history = self._histories[name]
        source = history.source
        if source is None:
            raise TypeError(f"{name} has no source")
        parts = zip(history.asked_by, zip(*keys, strict=True), strict=True)
        body = {
            "features": [f"{source.table}:{FEATURE}"],
            "entities": {part: [*values] for part, values in parts},
        }
        result = self._ask(name, source, body, len(keys))
        for place, key in enumerate(keys):
            if result.statuses[place] == "OUTSIDE_MAX_AGE":
                require_fresh(name, source, None)
            if result.statuses[place] != "PRESENT":
                continue
            lines = self._readers[name](result.values[place])
            if not isinstance(lines, list) or not all(isinstance(line, dict) for line in lines):
                raise _invalid(name, source, "`lines` must be a JSON list of objects")
            out.as_of[key] = require_fresh(name, source, result.event_timestamps[place])
            out.lines[key] = sorted(lines, key=lambda line: str(line.get(history.date)))

    def _ask(self, name: str, source: FeatureSource, body: object, count: int) -> Result:
        """Return the result of the feature; raises SourceError."""
        try:
            answer = OnlineFeatures.model_validate_json(self._post(name, body))
            result = answer.results[answer.metadata.feature_names.index(FEATURE)]
        except (ValidationError, ValueError, IndexError) as error:
            if isinstance(error, SourceError):
                raise
            raise _invalid(name, source, "its answer is not one of Feast's") from error
        if {len(result.values), len(result.statuses), len(result.event_timestamps)} != {count}:
            raise _invalid(name, source, f"its answer must have {count} values")
        return result

    def _post(self, name: str, body: object) -> bytes:
        end, content = time.monotonic() + self._deadline, b""
        reason = f"its feature server does not answer, or not within {self._deadline:g} s"
        try:
            with self._client.stream("POST", "/get-online-features", json=body) as answer:
                for part in answer.iter_bytes():
                    content += part
                    if time.monotonic() > end or len(content) > LARGEST:
                        raise SourceAway(name, reason, f"{len(content)} bytes, and no end")
        except httpx.HTTPError as error:
            raise SourceAway(name, reason, f"{type(error).__name__}: {error}") from error
        if answer.status_code != httpx.codes.OK:
            detail = f"status {answer.status_code}: {content[:500]!r}"
            raise SourceAway(name, "its feature server refuses the request", detail)
        return content


def _invalid(name: str, source: FeatureSource, problem: str) -> SourceError:
    return SourceError(name, "source_invalid", f"{name}: {source.table}: {problem}")
