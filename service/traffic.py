"""Send applications to a service on this machine for a while, so that there is something to see:
`python -m service.traffic --rate 20 --seconds 60 [--drift income=0.5] [--outcomes]`.

The applications are the prepared test rows, or the golden records where there are none, in random
order. At the end it prints how many got which decision and how many were refused.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.client import HTTPException
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from tqdm import tqdm

from service import settings
from service.loopback import ERROR, CannotSend, Client, application_fields, connect
from service.settings import SettingsError
from stages import params

MOST_RATE, MOST_SECONDS, MOST_ROWS = 500.0, 3600.0, 200_000
GROUP = 50  # outcomes in one request
GOLDEN = Path("models/golden.jsonl")

Application = dict[str, Any]


def read_applications(dataset: Path, fields: dict[str, dict[str, Any]]) -> list[Application]:
    """Return applications with those of the contract's `fields` that have a value."""
    prepared = dataset / "prepared/test.parquet"
    if prepared.exists():
        names = [name for name in pq.read_schema(prepared).names if name in fields]
        rows = pq.read_table(prepared, columns=names).slice(0, MOST_ROWS).to_pylist()
    elif GOLDEN.exists():
        rows = [json.loads(line)["application"] for line in GOLDEN.read_text().splitlines()]
    else:
        raise CannotSend(
            f"there are no applications to send: neither {prepared} nor {GOLDEN} exists; run `make`"
        )
    return [as_json(row, fields) for row in rows]


def as_json(row: Application, fields: dict[str, dict[str, Any]]) -> Application:
    """Return a row as it is sent: whole numbers whole, dates as texts, no missing values."""
    result = {}
    for name, value in row.items():
        if name not in fields or value is None or (isinstance(value, float) and math.isnan(value)):
            continue
        if isinstance(value, datetime):
            result[name] = str(value.date())
        else:
            result[name] = round(value) if fields[name]["type"] == "integer" else value
    return result


def parse_drift(options: list[str], fields: dict[str, dict[str, Any]]) -> dict[str, float | str]:
    """Return factors of numbers and new categories of other fields, by field; checked.

    The options are FIELD=FACTOR or FIELD=CATEGORY.
    """
    drift: dict[str, float | str] = {}
    for option in options:
        name, equals, text = option.partition("=")
        if not equals or name not in fields:
            raise CannotSend(
                f"--drift must be FIELD=FACTOR or FIELD=CATEGORY; got {option!r}; "
                f"fields are {', '.join(fields)}"
            )
        drift[name] = text
        if fields[name]["type"] in ("number", "integer"):
            try:
                drift[name] = float(text)
            except ValueError:
                raise CannotSend(f"--drift {name}=FACTOR needs a number; got {text!r}") from None
    return drift


def apply_drift(
    row: Application, drift: dict[str, float | str], fields: dict[str, dict[str, Any]]
) -> Application:
    """Return a row whose numbers are multiplied and whose categories are replaced."""
    result = dict(row)
    for name, change in drift.items():
        if isinstance(change, str):
            result[name] = change
        elif name in row:
            value = row[name] * change
            result[name] = round(value) if fields[name]["type"] == "integer" else value
    return result


def pace(
    rate: float,
    seconds: float,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[int]:
    """Yield 0, 1, 2, ... at `rate` per second, until `seconds` are over."""
    start = clock()
    for number in range(math.ceil(rate * seconds)):
        wait = start + number / rate - clock()
        if wait > 0:
            sleep(wait)
        if clock() - start >= seconds:
            return
        yield number


@dataclass
class Tally:
    """What became of the applications that were sent."""

    counts: Counter[str] = field(default_factory=Counter)
    first_error: str = ""
    outcomes: list[dict[str, Any]] = field(default_factory=list)

    def send(self, to: Client, path: str, content: Any) -> Any:
        """Return the answer to a POST; None where it was refused or lost, which is counted."""
        try:
            status, answer = to.ask("POST", path, content)
        except (OSError, HTTPException) as error:
            return self.count_error("lost", f"{type(error).__name__}: {error}")
        if status >= ERROR:
            return self.count_error(f"refused {path} {status}", answer["errors"][0]["message"])
        return answer

    def count_error(self, name: str, message: str) -> None:
        """Count an error, and remember the first."""
        self.counts[name] += 1
        self.first_error = self.first_error or message

    def send_outcomes(self, to: Client) -> None:
        """Send the outcomes that have been drawn since the last time."""
        if self.outcomes and self.send(to, "/outcomes", self.outcomes) is not None:
            self.counts["outcomes"] += len(self.outcomes)
        self.outcomes = []


def send_all(
    to: Client,
    applications: Iterator[Application],
    numbers: Iterable[int],
    chance: random.Random | None = None,
) -> Tally:
    """Send one application per number; with `chance`, draw each one's outcome from its PD."""
    tally = Tally()
    for _ in numbers:
        answer = tally.send(to, "/predict", next(applications))
        if answer is None:
            continue
        tally.counts[answer["decision"]] += 1
        if chance:
            bad = int(chance.random() < answer["default_probability"])
            today = str(datetime.now(UTC).date())
            outcome = {"prediction_id": answer["prediction_id"], "bad": bad, "date": today}
            tally.outcomes.append(outcome)
        if len(tally.outcomes) >= GROUP:
            tally.send_outcomes(to)
    tally.send_outcomes(to)
    return tally


def bounded(most: float) -> Callable[[str], float]:
    """Return a reader of numbers above 0 and up to `most`."""

    def number(text: str) -> float:
        value = float(text)
        if not 0 < value <= most:
            raise argparse.ArgumentTypeError(f"must be above 0 and at most {most:g}; got {text}")
        return value

    return number


def parse_arguments() -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(prog="python -m service.traffic", description=__doc__)
    parser.add_argument("--url", default="http://127.0.0.1:3000", help="loopback only")
    parser.add_argument("--rate", type=bounded(MOST_RATE), default=20.0, help="applications/second")
    parser.add_argument("--seconds", type=bounded(MOST_SECONDS), default=60.0)
    parser.add_argument("--drift", action="append", default=[], metavar="FIELD=FACTOR|CATEGORY")
    parser.add_argument("--outcomes", action="store_true", help="post outcomes, drawn from the PDs")
    parser.add_argument("--api-key", default=settings.load().api_key)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def main() -> None:
    """Send what the options say, and print what became of it."""
    try:
        options = parse_arguments()
        to = connect(options.url, options.api_key)
        fields = application_fields(to)
        drift = parse_drift(options.drift, fields)
        applications = read_applications(params.load(with_candidates=False).data, fields)
    except (CannotSend, SettingsError) as error:
        sys.exit(f"traffic: {error}")
    chance = random.Random(options.seed)  # noqa: S311
    total = math.ceil(options.rate * options.seconds)
    change = f"with drift {', '.join(options.drift)}" if drift else "as in training"
    print(f"traffic: {total:,} applications in {options.seconds:g} seconds, {change}", flush=True)
    endless = (apply_drift(chance.choice(applications), drift, fields) for _ in iter(int, 1))
    numbers = tqdm(pace(options.rate, options.seconds), change, total, unit="", disable=None)
    tally = send_all(to, endless, numbers, chance if options.outcomes else None)
    print(", ".join(f"{count:,} {name}" for name, count in sorted(tally.counts.items())))
    if tally.first_error:
        sys.exit(f"traffic: the first error: {tally.first_error}")


if __name__ == "__main__":
    main()
