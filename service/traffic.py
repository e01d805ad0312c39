"""Send a running service on this machine applications for a while, so that there is something to
see: `python -m service.traffic --rate 20 --seconds 60 [--drift income=0.5] [--outcomes]`.

Applications are the prepared test rows where the pipeline has left them, else the golden records,
in random order. It ends by itself and prints how many got which decision and how many were refused.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.client import HTTPException
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from service import settings
from service.loopback import OK, Client, NoTraffic, client, fields_of
from stages import params

MOST_RATE, MOST_SECONDS, MOST_ROWS = 500.0, 3600.0, 200_000
GROUP = 50  # outcomes in one request
GOLDEN = Path("models/golden.jsonl")

Application = dict[str, Any]


def rows(dataset: Path, fields: dict[str, dict[str, Any]]) -> list[Application]:
    """Applications to replay: of the contract's `fields`, without what they lack."""
    prepared = dataset / "prepared/test.parquet"
    if prepared.exists():
        known = [name for name in pq.read_schema(prepared).names if name in fields]
        found = pq.read_table(prepared, columns=known).slice(0, MOST_ROWS).to_pylist()
    elif GOLDEN.exists():
        found = [json.loads(line)["application"] for line in GOLDEN.read_text().splitlines()]
    else:
        raise NoTraffic(f"nothing to replay: neither {prepared} nor {GOLDEN} is there")
    return [plain(row, fields) for row in found]


def plain(row: Application, fields: dict[str, dict[str, Any]]) -> Application:
    """A row as JSON sends it: whole numbers whole, dates as text, nothing for what is missing."""
    result = {}
    for name, value in row.items():
        if name not in fields or value is None or (isinstance(value, float) and math.isnan(value)):
            continue
        if isinstance(value, datetime):
            result[name] = str(value.date())
        else:
            result[name] = round(value) if fields[name]["type"] == "integer" else value
    return result


def drifts(wishes: list[str], fields: dict[str, dict[str, Any]]) -> dict[str, float | str]:
    """`FIELD=FACTOR` for numbers, `FIELD=CATEGORY` for all else, by field; checked."""
    found: dict[str, float | str] = {}
    for wish in wishes:
        name, equals, text = wish.partition("=")
        if not equals or name not in fields:
            raise NoTraffic(
                f"--drift must be FIELD=FACTOR or FIELD=CATEGORY; got {wish!r}; "
                f"fields are {', '.join(fields)}"
            )
        found[name] = text
        if fields[name]["type"] in ("number", "integer"):
            try:
                found[name] = float(text)
            except ValueError:
                raise NoTraffic(f"--drift {name}=FACTOR needs a number; got {text!r}") from None
    return found


def drifted(
    row: Application, drift: dict[str, float | str], fields: dict[str, dict[str, Any]]
) -> Application:
    """A row after its drift: numbers multiplied, categories set."""
    result = dict(row)
    for name, how in drift.items():
        if isinstance(how, str):
            result[name] = how
        elif name in row:
            value = row[name] * how
            result[name] = round(value) if fields[name]["type"] == "integer" else value
    return result


def paced(
    rate: float,
    seconds: float,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[int]:
    """0, 1, 2, ... at `rate` a second, at most rate x seconds of them, and never past the end."""
    start = clock()
    for number in range(math.ceil(rate * seconds)):
        wait = start + number / rate - clock()
        if wait > 0:
            sleep(wait)
        if clock() - start >= seconds:
            return
        yield number


@dataclass
class Run:
    """What was sent and what came of it."""

    counts: Counter[str] = field(default_factory=Counter)
    first_error: str = ""
    outcomes: list[dict[str, Any]] = field(default_factory=list)

    def send(self, to: Client, path: str, content: Any) -> Any:
        """The answer to a POST; None where it was refused or lost, which is counted."""
        try:
            status, answer = to.ask("POST", path, content)
        except (OSError, HTTPException) as error:
            return self.failed("lost", f"{type(error).__name__}: {error}")
        if status >= OK:
            return self.failed(f"refused {path} {status}", answer["errors"][0]["message"])
        return answer

    def failed(self, kind: str, words: str) -> None:
        """Count an error, and remember the first."""
        self.counts[kind] += 1
        self.first_error = self.first_error or words

    def settle(self, to: Client) -> None:
        """Post the outcomes that wait."""
        if self.outcomes and self.send(to, "/outcomes", self.outcomes) is not None:
            self.counts["outcomes"] += len(self.outcomes)
        self.outcomes = []


def run(
    to: Client,
    applications: Iterator[Application],
    pace: Iterator[int],
    chance: random.Random | None = None,
) -> Run:
    """Send applications as `pace` says; with `chance`, draw each one's outcome from its PD."""
    done = Run()
    for _ in pace:
        answer = done.send(to, "/predict", next(applications))
        if answer is None:
            continue
        done.counts[answer["decision"]] += 1
        if chance:
            bad = int(chance.random() < answer["default_probability"])
            today = str(datetime.now(UTC).date())
            own = {"prediction_id": answer["prediction_id"], "bad": bad, "date": today}
            done.outcomes.append(own)
        if len(done.outcomes) >= GROUP:
            done.settle(to)
    done.settle(to)
    return done


def within(most: float) -> Callable[[str], float]:
    """Reads a number above 0 and up to `most`."""

    def number(text: str) -> float:
        value = float(text)
        if not 0 < value <= most:
            raise argparse.ArgumentTypeError(f"must be above 0 and at most {most:g}; got {text}")
        return value

    return number


def options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m service.traffic", description=__doc__)
    parser.add_argument("--url", default="http://127.0.0.1:3000", help="loopback only")
    parser.add_argument("--rate", type=within(MOST_RATE), default=20.0, help="applications/second")
    parser.add_argument("--seconds", type=within(MOST_SECONDS), default=60.0)
    parser.add_argument("--drift", action="append", default=[], metavar="FIELD=FACTOR|CATEGORY")
    parser.add_argument("--outcomes", action="store_true", help="post outcomes, drawn from the PDs")
    parser.add_argument("--api-key", default=settings.load().api_key)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def main() -> None:
    """Send what the options say, and print what came of it."""
    wish = options()
    chance = random.Random(wish.seed)  # noqa: S311
    try:
        to = client(wish.url, wish.api_key)
        fields = fields_of(to)
        drift = drifts(wish.drift, fields)
        found = rows(params.load(with_candidates=False).data, fields)
    except NoTraffic as error:
        sys.exit(f"traffic: {error}")
    endless = (drifted(chance.choice(found), drift, fields) for _ in iter(int, 1))
    done = run(to, endless, paced(wish.rate, wish.seconds), chance if wish.outcomes else None)
    print(", ".join(f"{count:,} {what}" for what, count in sorted(done.counts.items())))
    if done.first_error:
        sys.exit(f"traffic: the first error: {done.first_error}")


if __name__ == "__main__":
    main()
