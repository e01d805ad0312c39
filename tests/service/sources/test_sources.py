"""Lines that the service fetches by a key: the same features, or a clear refusal."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from service.api.handlers.api import Api
from service.batch import scoring
from service.decision.engine import Engine
from service.ledger import Ledger
from service.sources import completion, tables
from service.sources.values import value_reader
from stages.contract import reading as contracts
from stages.contract.fields.field import Field
from stages.contract.schema import ContractError
from tests.support.api_client import Client, client_of
from tests.support.books import HISTORY, Project, with_payments
from tests.support.databases import Postgres

SOURCE = """    source: {kind: sql, table: payments, as_of: loads.loaded_at, max_age: 2 days}
    max_lines: 50
"""
FETCHED = HISTORY.replace("    max_lines: 50\n", SOURCE)
TABLES = (
    "CREATE TABLE payments (person INTEGER, paid_on DATE, late INTEGER, status TEXT)",
    "CREATE TABLE loads (loaded_at TIMESTAMP)",
)
Application = dict[str, Any]


class Database:
    """The database of features: `run` changes it, and `url` may only read it."""

    def __init__(self, run: Callable[..., None], url: str, mark: str) -> None:
        self.run, self.url, self._mark = run, url, mark

    def load(self, lines: pd.DataFrame) -> None:
        """Fill the tables anew, as of now."""
        self.run("DELETE FROM payments")
        for row in lines[["person", "paid_on", "late", "status"]].itertuples(index=False):
            self.insert(*row)
        self.load_at(datetime.now(UTC))

    def insert(self, *values: object) -> None:
        """Add a line."""
        marks = ", ".join([self._mark] * 4)
        self.run(f"INSERT INTO payments VALUES ({marks})", values)  # noqa: S608

    def load_at(self, moment: datetime | None) -> None:
        """State when the tables were loaded; None states nothing."""
        self.run("DELETE FROM loads")
        if moment:
            text = moment.replace(tzinfo=None).isoformat(" ")
            self.run(f"INSERT INTO loads VALUES ({self._mark})", (text,))  # noqa: S608


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    folder = tmp_path_factory.mktemp("sources")
    written = Project(folder, FETCHED, candidates=["lightgbm"]).write(with_payments(later=True))
    return written.run("preprocess", "featurize", "lightgbm", "evaluate")


@pytest.fixture(scope="module")
def persons(project: Project) -> list[int]:
    """The keys of some loans of the test part, in its order."""
    loans = pd.read_csv(project.data / "raw" / "loans.csv")
    return [int(key) for key in loans["person"].iloc[project.split("test")["_row"]]][:8]


@pytest.fixture(scope="module")
def payments(project: Project, persons: list[int]) -> pd.DataFrame:
    """The lines of these keys that keep the contract, later ones among them."""
    lines = pd.read_csv(project.data / "raw" / "payments.csv")
    return lines[lines["person"].isin(persons) & (lines["late"] < 1000)].astype(object)


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[Database]:
    file = tmp_path / "features.sqlite"
    with sqlite3.connect(file) as connection:
        for statement in TABLES:
            connection.execute(statement)

        def run(statement: str, values: tuple[Any, ...] = ()) -> None:
            connection.execute(statement, values)
            connection.commit()

        yield Database(run, f"sqlite:///{file}", "?")
    connection.close()


@pytest.fixture
def postgresql(request: pytest.FixtureRequest) -> Iterator[Database]:
    server: Postgres = request.getfixturevalue("postgres")
    url = server.new_database()
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in TABLES:
            connection.execute(statement.encode())
        connection.execute("DROP ROLE IF EXISTS reader")
        connection.execute("CREATE ROLE reader LOGIN")
        connection.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader")

        def run(statement: str, values: tuple[Any, ...] = ()) -> None:
            connection.execute(statement.encode(), values)

        yield Database(run, url.replace("postgres@", "reader@"), "%s")
        connection.execute("DROP OWNED BY reader")
        connection.execute("DROP ROLE reader")


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.e2e)])
def database(request: pytest.FixtureRequest, payments: pd.DataFrame) -> Database:
    """A filled database of features."""
    made: Database = request.getfixturevalue(request.param)
    made.load(payments)
    return made


@pytest.fixture
def api(
    database: Database, project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Api]:
    built = serve(project, database.url, tmp_path, monkeypatch)
    yield built
    built.state.close()


def serve(project: Project, url: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Api:
    monkeypatch.setenv("CREDIT_PD_FEATURES_URL", url)
    built = Api(project.folder, Ledger(f"sqlite:///{folder}/ledger/decisions.sqlite"))
    built.state.load()
    assert built.state.engine, built.state.problem
    return built


@pytest.fixture
def client(api: Api) -> Client:
    return client_of(api, max_body=1 << 20)


@pytest.fixture
def engine(project: Project) -> Engine:
    return Engine.load(project.folder)


@pytest.fixture
def applications(project: Project, persons: list[int], engine: Engine) -> list[Application]:
    """Applications of the test part that name the key; most have lines in the table."""
    encoded = engine.features.encode(project.columns("test"))
    return [
        engine.features.application(row) | {"person": person}
        for row, person in zip(encoded, persons, strict=False)
    ]


def with_lines(application: Application, payments: pd.DataFrame) -> Application:
    """Return an application that states the lines of its key in place of the key."""
    stated = {name: value for name, value in application.items() if name != "person"}
    of_person = payments[payments["person"] == application["person"]]
    lines = of_person.drop(columns="person").to_dict("records")
    return stated | {"payments": lines}


def only_error(answer: httpx.Response) -> dict[str, Any]:
    (error,) = answer.json()["errors"]
    return dict(error)


def test_fetched_lines_give_the_features_of_the_same_lines_in_the_request(
    client: Client, applications: list[Application], payments: pd.DataFrame, engine: Engine
) -> None:
    counts = []
    for application in applications:
        whole = with_lines(application, payments)
        by_key = client.post("/predict", json=application).json()
        stated = client.post("/predict", json=whole).json()
        for name in ("default_probability", "decision", "credit_score", "reasons"):
            assert by_key[name] == stated[name]
        recorded = client.get(f"/predictions/{by_key['prediction_id']}").json()["application"]
        np.testing.assert_array_equal(engine.matrix(recorded), engine.matrix(whole))
        counts.append(by_key["sources"]["payments"]["lines"])
        assert "sources" not in stated
    assert max(counts) > 1


def test_what_was_fetched_is_recorded_without_later_lines_and_needs_no_second_look(
    client: Client,
    applications: list[Application],
    engine: Engine,
    database: Database,
    payments: pd.DataFrame,
) -> None:
    asked = max(applications, key=lambda one: len(with_lines(one, payments)["payments"]))
    answer = client.post("/predict", json=asked).json()
    database.run("DELETE FROM payments")
    database.load_at(None)
    record = client.get(f"/predictions/{answer['prediction_id']}").json()
    lines = record["application"]["payments"]
    later = with_lines(asked, payments)["payments"]
    assert [line["paid_on"] for line in lines] == sorted(
        line["paid_on"] for line in later if line["paid_on"] < asked["granted"]
    )
    assert record["application"]["person"] == asked["person"]
    assert record["sources"] == answer["sources"]
    assert record["sources"]["payments"]["lines"] == len(lines) < len(later)
    assert engine.decide(record["application"]).default_probability == answer["default_probability"]
    explained = client.post("/explain", json=record["application"]).json()
    assert explained["default_probability"] == answer["default_probability"]


def test_an_explanation_and_a_batch_fetch_too(
    client: Client, applications: list[Application], payments: pd.DataFrame
) -> None:
    alone = [client.post("/predict", json=each).json() for each in applications]
    explained = client.post("/explain", json=applications[0]).json()
    assert explained["sources"] == alone[0]["sources"]
    broken = {"person": 1}
    answer = client.post("/predict_batch", json=[*applications, broken]).json()["results"]
    assert [row["decision"]["default_probability"] for row in answer[:-1]] == [
        each["default_probability"] for each in alone
    ]
    assert "errors" in answer[-1]


def test_a_file_names_keys_in_a_column(
    api: Api, client: Client, applications: list[Application], tmp_path: Path
) -> None:
    engine = api.state.loaded_engine()
    rows = [each | {"granted": datetime.fromisoformat(each["granted"])} for each in applications]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "in.parquet")
    counts = scoring.score(engine, tmp_path / "in.parquet", tmp_path / "out.parquet")
    assert counts == (len(applications), 0)
    out = pq.read_table(tmp_path / "out.parquet")
    alone = [client.post("/predict", json=each).json() for each in applications]
    pds = [each["default_probability"] for each in alone]
    assert out.column("default_probability").to_pylist() == pds
    assert out.column("person").to_pylist() == [each["person"] for each in applications]


@pytest.mark.parametrize("moment", [datetime.now(UTC) - timedelta(days=2, hours=1), None])
def test_stale_lines_are_refused(
    client: Client, applications: list[Application], database: Database, moment: datetime | None
) -> None:
    database.load_at(moment)
    answer = client.post("/predict", json=applications[0])
    error = only_error(answer)
    assert (answer.status_code, error["field"], error["code"]) == (503, "payments", "source_stale")
    assert "at most 2 days are allowed" in error["message"]
    assert int(answer.headers["retry-after"]) > 0
    assert client.get("/logs").json()["records"] == []
    assert client.post("/predict_batch", json=applications).status_code == 503


def test_a_source_that_hangs_is_refused_in_time_and_hinders_no_other_request(
    client: Client, applications: list[Application], database: Database, payments: pd.DataFrame
) -> None:
    if database.url.startswith("sqlite"):
        blocking = sqlite3.connect(database.url.removeprefix("sqlite:///"), isolation_level=None)
        blocking.execute("BEGIN EXCLUSIVE")
    else:
        owner = database.url.replace("reader@", "postgres@")
        blocking = psycopg.connect(owner)  # type: ignore[assignment]
        blocking.execute("LOCK TABLE payments IN ACCESS EXCLUSIVE MODE")
    start = time.monotonic()
    answer = client.post("/predict", json=applications[0])
    assert time.monotonic() - start < 3
    error = only_error(answer)
    assert (answer.status_code, error["code"]) == (503, "source_unavailable")
    assert "reader" not in answer.text
    assert database.url.rpartition("/")[2] not in answer.text
    start = time.monotonic()
    assert client.post("/predict", json=applications[0]).status_code == 503
    assert time.monotonic() - start < 0.3  # nobody waits again at once
    stated = with_lines(applications[0], payments)
    assert client.post("/predict", json=stated).status_code == 200
    blocking.rollback()
    blocking.close()
    time.sleep(completion.PAUSE)
    assert client.post("/predict", json=applications[0]).status_code == 200


def test_only_so_many_requests_wait(
    client: Client, applications: list[Application], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(completion, "WAITING", 0)
    answer = client.post("/predict", json=applications[0])
    assert answer.status_code == 503
    assert "too many requests wait" in only_error(answer)["message"]


@pytest.mark.parametrize(("key", "status"), [("7", 200), ("07", 200), ("no such", 200)])
def test_a_key_is_compared_as_it_is_written(
    client: Client, applications: list[Application], database: Database, key: str, status: int
) -> None:
    database.run("DELETE FROM payments")
    database.insert(7, "2000-01-02", 3, "open")
    answer = client.post("/predict", json=applications[0] | {"person": key})
    assert answer.status_code == status
    assert answer.json()["sources"]["payments"]["lines"] == (key == "7")


@pytest.mark.parametrize("key", [True, 1.5, "", "a\nb", "a\0b", "x" * 201, [1], 2**60])
def test_an_impossible_key_is_refused_and_never_asked(
    client: Client, applications: list[Application], key: object
) -> None:
    answer = client.post("/predict", json=applications[0] | {"person": key})
    assert answer.status_code == 422
    error = next(e for e in answer.json()["errors"] if e["field"] == "person")
    assert "a printable text of 1 to 200 characters, or a whole number" in error["message"]
    assert client.post("/predict", json=applications[0]).status_code == 200


def test_neither_lines_nor_a_key_is_refused(
    client: Client, applications: list[Application]
) -> None:
    without = {name: value for name, value in applications[0].items() if name != "person"}
    error = only_error(client.post("/predict", json=without))
    assert (error["field"], error["code"]) == ("payments", "missing")
    assert "or person, by which the service fetches them" in error["message"]


def test_a_fetched_line_that_breaks_the_contract_is_named(
    client: Client, applications: list[Application], database: Database
) -> None:
    person = applications[0]["person"]
    database.run("DELETE FROM payments")
    database.insert(person, "2000-01-02", 5000, "open")
    answer = client.post("/predict", json=applications[0])
    error = only_error(answer)
    assert answer.status_code == 422
    assert (error["field"], error["code"]) == ("payments[0].late", "source_invalid")


def test_a_table_without_a_column_is_named(
    client: Client, applications: list[Application], database: Database
) -> None:
    database.run("ALTER TABLE payments RENAME COLUMN late TO days")
    answer = client.post("/predict", json=applications[0])
    assert answer.status_code == 503
    assert "payments has no column 'late'" in only_error(answer)["message"]


def test_without_a_database_requests_must_state_the_lines(
    project: Project,
    applications: list[Application],
    payments: pd.DataFrame,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    api = serve(project, "", tmp_path, monkeypatch)
    client = client_of(api, max_body=1 << 20)
    answer = client.post("/predict", json=applications[0])
    assert (answer.status_code, only_error(answer)["code"]) == (503, "source_unavailable")
    stated = with_lines(applications[0], payments)
    assert client.post("/predict", json=stated).status_code == 200
    api.state.close()


def test_the_description_and_the_page_know_the_key(client: Client) -> None:
    schema = client.get("/docs.json").json()["components"]["schemas"]["Application"]
    assert "payments" not in schema["required"]
    assert "fetches the lines of person" in schema["properties"]["payments"]["description"]
    assert {"type": "integer"} in schema["properties"]["person"]["anyOf"]
    contract = client.get("/model-info").json()["contract"]
    assert [key["name"] for key in contract["keys"]] == ["person"]
    assert contract["history"][0]["asked_by"] == ["person"]


@pytest.mark.e2e
def test_an_account_that_may_write_is_refused(
    project: Project,
    postgresql: Database,
    applications: list[Application],
    payments: pd.DataFrame,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    postgresql.load(payments.head(5))
    url = postgresql.url.replace("reader@", "postgres@")
    api = serve(project, url, tmp_path, monkeypatch)
    error = only_error(client_of(api).post("/predict", json=applications[0]))
    api.state.close()
    assert "must be one that may only read" in error["message"]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"kind: sql": "kind: feats"}, r"source\.kind: .*'sql'"),
        ({"table: payments": "table: 'a; DROP TABLE b'"}, r"source\.table: "),
        ({"max_age: 2 days": "max_age: often"}, r"source\.max_age: "),
        ({", max_age: 2 days": ""}, r"source\.max_age: Field required"),
        ({"as_of: ": "asof: "}, r"source\.asof: unknown key"),
        ({"as_of: loads.loaded_at, ": ""}, r"source\.as_of: must name the column"),
        ({"kind: sql": "kind: feast"}, r"source\.as_of: is for `sql`"),
    ],
)
def test_a_source_that_cannot_be_is_refused(change: dict[str, str], problem: str) -> None:
    text = FETCHED
    for old, new in change.items():
        assert old in text
        text = text.replace(old, new)
    with pytest.raises(ContractError, match=problem):
        contracts.read(text)


@pytest.mark.parametrize(
    ("loaded", "read"),
    [
        ("2026-03-01 10:00:00", datetime(2026, 3, 1, 10, tzinfo=UTC)),
        ("2026-03-01T10:00:00+02:00", datetime(2026, 3, 1, 8, tzinfo=UTC)),
        (datetime(2026, 3, 1, 10), datetime(2026, 3, 1, 10, tzinfo=UTC)),
        (date(2026, 3, 1), datetime(2026, 3, 1, tzinfo=UTC)),
        ("yesterday", None),
        (None, None),
    ],
)
def test_times_of_a_load_are_read_as_utc(loaded: object, read: datetime | None) -> None:
    assert tables.as_time(loaded) == read


def test_values_of_a_database_are_those_of_a_file() -> None:
    fields = {
        name: Field(name=name, type=kind, **more)
        for name, kind, more in [
            ("day", "date", {}),
            ("written", "date", {"format": "%y%m%d"}),
            ("amount", "number", {}),
            ("count", "integer", {}),
            ("kind", "string", {"constraints": {"enum": ["a", "b"]}, "repair": {"A": "a"}}),
            ("late", "boolean", {"trueValues": ["Y"]}),
        ]
    }
    cases = {
        "day": [(date(2020, 1, 2), "2020-01-02"), ("2020-01-02 03:04:05", "2020-01-02")],
        "written": [("200102", "2020-01-02")],
        "amount": [(Decimal("0.10"), 0.1), (Decimal(7), 7), (Decimal("NaN"), None), ("2.5", 2.5)],
        "count": [(Decimal("3.00"), 3), (4, 4), (None, None)],
        "kind": [("A", "a"), ("b", "b")],
        "late": [("Y", "Y"), ("true", True), (False, False)],
    }
    for name, pairs in cases.items():
        for stored, stated in pairs:
            read = value_reader(fields[name])(tables.as_written(stored))
            assert read == stated, (name, stored)
