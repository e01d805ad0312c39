"""Send applications to a service on this machine at a steady rate:
`python -m service.traffic --rate 20 --seconds 60 [--drift income=0.5] [--outcomes]`.

The applications are the prepared test rows or, when there are none, the golden records, in random
order. At the end the command prints the number of each decision and of refused applications.
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
from service.loopback import ERROR, CannotSend, Fields, LoopbackClient, application_fields, connect
from service.settings import SettingsError
from stages import params

MAX_RATE, MAX_SECONDS, MAX_ROWS = 500.0, 3600.0, 200_000
SURPRISE_RATE = 0.25  # at which loans go bad that the model does not foresee
GROUP = 50  # outcomes in one request
GOLDEN = Path("models/golden.jsonl")

Application = dict[str, Any]
"""The values of an application by field."""


def read_applications(dataset: Path, fields: Fields) -> list[Application]:
    """Return applications as JSON objects with those of the contract's `fields` that have a value.

    Raises CannotSend when there are neither prepared test rows nor golden records.
    """
    prepared = dataset / "prepared/test.parquet"
    golden = GOLDEN.read_text().splitlines() if GOLDEN.exists() else []
    recorded = [json.loads(line)["application"] for line in golden]
    # Prepared rows have the aggregates of a history in place of its lines.
    with_lines = any(isinstance(value, list) for row in recorded for value in row.values())
    if prepared.exists() and not with_lines:
        names = [name for name in pq.read_schema(prepared).names if name in fields]
        rows = pq.read_table(prepared, columns=names).slice(0, MAX_ROWS).to_pylist()
    elif recorded:
        rows = recorded
    else:
        raise CannotSend(
            f"there are no applications to send: neither {prepared} nor {GOLDEN} exists; run `make`"
        )
    return [as_json(row, fields) for row in rows]


def as_json(row: Application, fields: Fields) -> Application:
    """Return a row as a JSON object with integers and dates as texts, without missing values."""
    result: Application = {}
    for name, value in row.items():
        if isinstance(value, list):
            result[name] = value
        elif (
            name not in fields or value is None or (isinstance(value, float) and math.isnan(value))
        ):
            continue
        elif isinstance(value, datetime):
            result[name] = str(value.date())
        else:
            result[name] = round(value) if fields[name]["type"] == "integer" else value
    return result


def parse_drift(options: list[str], fields: Fields) -> dict[str, float | str]:
    """Return the factor of each number and the new category of each other field, by field name.

    The options are FIELD=FACTOR or FIELD=CATEGORY. Raises CannotSend for any other option.
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


def apply_drift(row: Application, drift: dict[str, float | str], fields: Fields) -> Application:
    """Return a copy of a row with its numbers multiplied and its categories replaced."""
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
    """Yield 0, 1, 2, ... at `rate` per second for `seconds`."""
    start = clock()
    for number in range(math.ceil(rate * seconds)):
        wait = start + number / rate - clock()
        if wait > 0:
            sleep(wait)
        if clock() - start >= seconds:
            return
        yield number


@dataclass
class Sender:
    """Sends applications and outcomes to a service, and counts its decisions and errors."""

    client: LoopbackClient
    counts: Counter[str] = field(default_factory=Counter)
    first_error: str = ""
    outcomes: list[dict[str, Any]] = field(default_factory=list)

    def post(self, path: str, content: object) -> Any:
        """Return the answer to a POST; counts an error and returns None when there is none."""
        try:
            status, answer = self.client.send("POST", path, content)
        except (OSError, HTTPException) as error:
            return self.count_error("lost", f"{type(error).__name__}: {error}")
        if status >= ERROR:
            return self.count_error(f"refused {path} {status}", answer["errors"][0]["message"])
        return answer

    def count_error(self, name: str, message: str) -> None:
        """Count an error under a name, and keep the first error's message."""
        self.counts[name] += 1
        self.first_error = self.first_error or message

    def send_outcomes(self) -> None:
        """Send the outcomes that were drawn since the last call."""
        if self.outcomes and self.post("/outcomes", self.outcomes) is not None:
            self.counts["outcomes"] += len(self.outcomes)
        self.outcomes = []


def send_all(
    client: LoopbackClient,
    applications: Iterator[Application],
    ticks: Iterable[int],
    rng: random.Random | None = None,
    surprise: float = 0.0,
) -> Sender:
    """Send one application at each tick and return the sender with its counts.

    With `rng`, an outcome is drawn and sent as well: from the PD of the decision, and for the share
    `surprise` of the loans at SURPRISE_RATE whatever their PD is.
    """
    sender = Sender(client)
    for _ in ticks:
        answer = sender.post("/predict", next(applications))
        if answer is None:
            continue
        sender.counts[answer["decision"]] += 1
        if rng:
            surprises = surprise and rng.random() < surprise
            risk = SURPRISE_RATE if surprises else answer["default_probability"]
            bad = int(rng.random() < risk)
            today = str(datetime.now(UTC).date())
            outcome = {"prediction_id": answer["prediction_id"], "bad": bad, "date": today}
            sender.outcomes.append(outcome)
        if len(sender.outcomes) >= GROUP:
            sender.send_outcomes()
    sender.send_outcomes()
    return sender


def number_up_to(largest: float) -> Callable[[str], float]:
    """Return an argparse type that reads a number above 0 and at most `largest`."""

    def number(text: str) -> float:
        value = float(text)
        if not 0 < value <= largest:
            raise argparse.ArgumentTypeError(f"must be above 0 and at most {largest:g}; got {text}")
        return value

    return number


def parse_arguments() -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(prog="python -m service.traffic", description=__doc__)
    parser.add_argument("--url", default="http://127.0.0.1:3000", help="loopback only")
    parser.add_argument(
        "--rate", type=number_up_to(MAX_RATE), default=20.0, help="applications/second"
    )
    parser.add_argument("--seconds", type=number_up_to(MAX_SECONDS), default=60.0)
    parser.add_argument("--drift", action="append", default=[], metavar="FIELD=FACTOR|CATEGORY")
    parser.add_argument("--outcomes", action="store_true", help="post outcomes, drawn from the PDs")
    parser.add_argument(
        "--surprise",
        type=number_up_to(1.0),
        default=0.0,
        metavar="SHARE",
        help=f"of the outcomes that the PDs do not foresee: bad at {SURPRISE_RATE:.0%}%%",
    )
    parser.add_argument("--api-key", default=settings.load().api_key)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def main() -> None:
    """Send the applications that the options ask for, and print the counts."""
    try:
        options = parse_arguments()
        client = connect(options.url, options.api_key)
        fields = application_fields(client)
        drift = parse_drift(options.drift, fields)
        applications = read_applications(params.load(with_candidates=False).data, fields)
    except (CannotSend, SettingsError) as error:
        sys.exit(f"traffic: {error}")
    rng = random.Random(options.seed)  # noqa: S311
    total = math.ceil(options.rate * options.seconds)
    change = f"with drift {', '.join(options.drift)}" if drift else "as in training"
    print(f"traffic: {total:,} applications in {options.seconds:g} seconds, {change}", flush=True)
    endless = (apply_drift(rng.choice(applications), drift, fields) for _ in iter(int, 1))
    ticks = tqdm(pace(options.rate, options.seconds), change, total, unit="", disable=None)
    sender = send_all(client, endless, ticks, rng if options.outcomes else None, options.surprise)
    print(", ".join(f"{count:,} {name}" for name, count in sorted(sender.counts.items())))
    if sender.first_error:
        sys.exit(f"traffic: the first error: {sender.first_error}")


if __name__ == "__main__":
    main()
