"""The service's endpoints without its model, and with the faults that a deployment must survive.

FAULT is none, crash (at start), deaf (never ready), golden (records differ), image (says that it
is another image), model (says that it has another model), declines (all), slow, refuses (every
second one) or a number: so many predictions succeed, the following ones fail. Where it has keys,
it asks for one before it tells its model.
"""

import json
import os
import signal
import time
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from types import FrameType

VERSION = os.environ["VERSION"]
FAULT = os.environ["FAULT"]
KEYS = os.environ.get("CREDIT_PD_API_KEYS", "").split(",")
LEDGER = Path("/ledger/decisions.txt")
PREDICTIONS = count()
DECISIONS: list[str] = []
FAST: list[bool] = []
NAMES = ("approve", "decline")
START_SECONDS = 0.3
WORK_SECONDS = 0.01


class Service(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path == "/livez":
            self.answer(200, {})
        elif self.path == "/metrics":
            self.write(200, metrics().encode())
        elif self.path == "/readyz":
            self.answer(503 if FAULT in ("deaf", "golden") else 200, {})
        elif self.path == "/model-info" and self.knows():
            self.answer(200, model_info())
        elif self.path == "/model-info":
            self.answer(401, {})
        else:
            self.answer(404, {})

    def knows(self) -> bool:
        """Whether the request has one of the keys, if there are any."""
        key = self.headers.get("x-api-key", "")
        return KEYS == [""] or sha256(key.encode()).hexdigest() in KEYS

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        began = time.monotonic()
        time.sleep(0.6 if FAULT == "slow" else WORK_SECONDS)
        if FAULT == "refuses" and next(PREDICTIONS) % 2:
            self.answer(400, {"fault": FAULT})
            return
        if FAULT.isdigit() and next(PREDICTIONS) >= int(FAULT):
            self.answer(500, {"fault": FAULT})
            return
        with LEDGER.open("a") as ledger:
            ledger.write(f"{VERSION}\n")
        DECISIONS.append("decline" if FAULT == "declines" else "approve")
        FAST.append(time.monotonic() - began < 0.5)
        self.answer(200, {"version": VERSION, "prediction": 0})

    def answer(self, status: int, body: object) -> None:
        self.write(status, json.dumps(body).encode())

    def write(self, status: int, text: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: object) -> None:
        pass


def metrics() -> str:
    lines = [
        f'credit_decisions_total{{decision="{name}"}} {DECISIONS.count(name)}' for name in NAMES
    ]
    lines.append(f'credit_request_seconds_bucket{{endpoint="/predict",le="0.5"}} {sum(FAST)}')
    lines.append(f'credit_request_seconds_count{{endpoint="/predict"}} {len(FAST)}')
    return "\n".join([*lines, ""])


def model_info() -> dict[str, object]:
    image = "another" if FAULT == "image" else os.environ["CREDIT_PD_IMAGE"]
    model = "another" if FAULT == "model" else f"fake-{VERSION}"
    identity = {"model": model, "git_commit": f"commit-{VERSION}", "image": image}
    return {"identity": identity, "golden": {"records": 20, "identical": FAULT != "golden"}}


def stop(number: int, frame: FrameType | None) -> None:
    os._exit(0)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, stop)
    if FAULT == "crash":
        raise SystemExit("cannot load the model")
    time.sleep(START_SECONDS)
    ThreadingHTTPServer(("", 3000), Service).serve_forever()
