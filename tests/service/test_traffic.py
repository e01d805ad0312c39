from __future__ import annotations

import json
import random
import threading
from argparse import ArgumentTypeError
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import repeat
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from service import traffic
from service.loopback import CannotSend, LoopbackClient, application_fields, connect

FIELDS = {
    "income": {"name": "income", "type": "number", "known_at": "application"},
    "dependants": {"name": "dependants", "type": "integer", "known_at": "application"},
    "purpose": {"name": "purpose", "type": "string", "known_at": "application"},
}


class Fake(BaseHTTPRequestHandler):
    """A service that knows three endpoints, and refuses a negative income."""

    protocol_version = "HTTP/1.1"
    received: list[tuple[str, Any, str | None]]

    def do_GET(self) -> None:
        late = {"name": "emi", "type": "number", "known_at": "pricing"}
        fields = [*FIELDS.values(), late]
        self.reply(200, {"model": {"mode": "application"}, "contract": {"fields": fields}})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.received.append((self.path, body, self.headers["x-api-key"]))
        if self.path == "/predict" and body.get("income", 0) < 0:
            self.reply(422, {"errors": [{"message": "income must be at least 0"}]})
            return
        number = str(len(self.received))
        answer = {"prediction_id": number, "decision": "approve", "default_probability": 0.5}
        self.reply(200, answer)

    def reply(self, status: int, content: Any) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def service() -> Iterator[LoopbackClient]:
    Fake.received = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Fake)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    to = connect(f"http://localhost:{server.server_port}", "secret")
    yield to
    to.connection.close()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org",
        "http://10.0.0.1:3000",
        "https://127.0.0.1",
        "http://0.0.0.0",
        "127.1",
        "",
    ],
)
def test_only_a_loopback_address_gets_traffic(url: str) -> None:
    with pytest.raises(CannotSend, match="loopback"):
        connect(url)


@pytest.mark.parametrize("url", ["http://127.0.0.1:3000", "http://[::1]:3000", "http://localhost"])
def test_every_form_of_loopback_is_taken(url: str) -> None:
    assert connect(url)


class Clock:
    """Time that passes only by sleeping, and by `work` at every look."""

    def __init__(self, work: float = 0.0) -> None:
        self.now, self.work = 0.0, work

    def __call__(self) -> float:
        self.now += self.work
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_traffic_keeps_its_rate_and_its_count() -> None:
    clock = Clock()
    assert len(list(traffic.pace(20, 3, clock, clock.sleep))) == 60
    assert clock.now == pytest.approx(59 / 20)


def test_a_slow_service_does_not_make_traffic_last_longer() -> None:
    clock = Clock(work=0.5)
    assert len(list(traffic.pace(20, 3, clock, clock.sleep))) < 6


@pytest.mark.parametrize("text", ["0", "-1", "501", "nan"])
def test_a_rate_out_of_bounds_is_refused(text: str) -> None:
    with pytest.raises(ArgumentTypeError, match="at most 500"):
        traffic.number_up_to(traffic.MAX_RATE)(text)


def test_drift_multiplies_numbers_and_sets_categories() -> None:
    drift = traffic.parse_drift(["income=0.5", "dependants=0.4", "purpose=Auto"], FIELDS)
    row = {"income": 100.0, "dependants": 3, "purpose": "Home"}
    expected = {"income": 50.0, "dependants": 1, "purpose": "Auto"}
    assert traffic.apply_drift(row, drift, FIELDS) == expected


def test_drift_leaves_a_missing_number_missing() -> None:
    assert traffic.apply_drift({}, {"income": 0.5}, FIELDS) == {}


@pytest.mark.parametrize("wish", ["income", "wage=2", "income=much"])
def test_an_invalid_drift_is_refused_with_its_field(wish: str) -> None:
    with pytest.raises(CannotSend, match=wish.partition("=")[0]):
        traffic.parse_drift([wish], FIELDS)


def test_golden_records_stand_in_for_prepared_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    golden = {"application": {"income": 5.0, "dependants": 2.0, "purpose": None, "age": 30}}
    (tmp_path / "models").mkdir()
    (tmp_path / traffic.GOLDEN).write_text(json.dumps(golden))
    monkeypatch.chdir(tmp_path)
    assert traffic.read_applications(Path("data/none"), FIELDS) == [
        {"income": 5.0, "dependants": 2}
    ]


def test_golden_records_with_lines_are_sent_in_place_of_prepared_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    application = {"income": 5.0, "payments": [{"day": "2020-01-02"}]}
    (tmp_path / "models").mkdir()
    (tmp_path / traffic.GOLDEN).write_text(json.dumps({"application": application}))
    (tmp_path / "data/book/prepared").mkdir(parents=True)
    pq.write_table(pa.table({"income": [7.0]}), tmp_path / "data/book/prepared/test.parquet")
    monkeypatch.chdir(tmp_path)
    assert traffic.read_applications(Path("data/book"), FIELDS) == [application]


def test_decisions_and_refusals_are_counted_and_the_first_reason_is_kept(
    service: LoopbackClient,
) -> None:
    rows = iter([{"income": 1}, {"income": -1}, {"income": 2}])
    done = traffic.send_all(service, rows, iter(range(3)))
    assert done.counts == {"approve": 2, "refused /predict 422": 1}
    assert done.first_error == "income must be at least 0"


def test_outcomes_are_drawn_from_the_pd_for_every_decision(service: LoopbackClient) -> None:
    done = traffic.send_all(service, repeat({"income": 1}), iter(range(60)), random.Random(1))
    sent = [o for path, body, _ in Fake.received if path == "/outcomes" for o in body]
    assert done.counts["outcomes"] == len({o["prediction_id"] for o in sent}) == 60
    assert 15 < sum(o["bad"] for o in sent) < 45


def test_the_key_is_sent_along(service: LoopbackClient) -> None:
    traffic.send_all(service, repeat({}), iter(range(1)))
    assert Fake.received[0][2] == "secret"


def test_only_fields_known_at_application_are_sent(service: LoopbackClient) -> None:
    assert application_fields(service) == FIELDS


def test_no_idle_connection_is_kept_while_applications_are_read(service: LoopbackClient) -> None:
    """BentoML drops a connection that idles for 5 seconds; the first application would be lost."""
    application_fields(service)
    assert service.connection.sock is None


def test_an_unreachable_service_is_named() -> None:
    with pytest.raises(CannotSend, match="no service answers at"):
        application_fields(connect("http://127.0.0.1:9"))


def test_a_missing_answer_is_counted_as_an_error() -> None:
    done = traffic.send_all(connect("http://127.0.0.1:9"), repeat({}), iter(range(2)))
    assert done.counts == {"lost": 2}
