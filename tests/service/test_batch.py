"""Files of applications are scored as requests are, in bounded memory, with refused rows beside."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from service.batch import __main__ as command
from service.batch import chunks, scoring
from service.decision.applications import Applications
from service.decision.engine import Engine
from stages.contract.schema import Mode
from stages.features.matrix import Features
from tests.support.books import CONTRACT, MEANINGS, ROOT, Project, contract
from tests.support.trained.winners import crown, draw

HEADER = "id,amount,months,purpose,insured,branch,income"


@pytest.fixture(scope="module")
def root(fitted_book: Project, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return crown(fitted_book, "lightgbm", tmp_path_factory.mktemp("batch") / "own")


@pytest.fixture(scope="module")
def engine(root: Path) -> Engine:
    return Engine.load(root)


def written(folder: Path, *lines: str) -> Path:
    path = folder / "in.csv"
    path.write_text("\n".join((HEADER, *lines)) + "\n")
    return path


def scored(engine: Engine, source: Path) -> tuple[pd.DataFrame, list[dict[str, Any]]]:
    target = source.with_name("out.parquet")
    counts = scoring.score(engine, source, target, with_reasons=True)
    rows = pq.read_table(target).to_pandas()
    lines = [json.loads(line) for line in scoring.errors_of(target).read_text().splitlines()]
    assert counts == (len(rows), len(lines))
    return rows, lines


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_file_gets_the_same_decisions_as_its_single_rows(
    engine: Engine, tmp_path: Path, kind: str
) -> None:
    applications = draw(engine.applications, 50)
    table, source = pd.DataFrame(applications), tmp_path / f"in.{kind}"
    if kind == "csv":
        table.to_csv(source, index=False)
    else:
        table.astype({"insured": str, "months": float}).to_parquet(source)
    rows, refused = scored(engine, source)
    assert not refused
    for row, application in zip(rows.to_dict("records"), applications, strict=True):
        decision = engine.decide(application)
        for name in ("default_probability", "prediction", "decision", "credit_score", "rating"):
            assert row[name] == getattr(decision, name)
        assert [*row["reasons"]] == [reason["text"] for reason in decision.reasons]


def test_a_refused_row_is_named_with_its_problems(engine: Engine, tmp_path: Path) -> None:
    rows, refused = scored(
        engine,
        written(
            tmp_path, "1,5000,12,car,Y,10,20000", "2,1,12,boat,Y,10,20000", "3,,,,,,", "4,x,,car,,,"
        ),
    )
    assert rows["row"].tolist() == [0]
    assert [line["row"] for line in refused] == [1, 2, 3]
    assert {e["field"]: e["got"] for e in refused[0]["errors"]} == {
        "amount": 1.0,
        "purpose": "boat",
    }
    assert refused[2]["errors"][0]["message"].endswith("got x")


WRITTEN = {
    "amount": ["5000", "5000.0", "5e3", "+5000", " 5000", "5_000", "5000.", "1", "nan", "inf"],
    "months": ["12", "12.5", "12.0", "-9", "-9.0", "-7", "", "1e400", "9007199254740993", "x"],
    "purpose": ["car", "home", "hoem", "boat", "", "Car", "car "],
    "insured": ["Y", "N", "true", "1", "maybe", "", "0"],
    "branch": ["10", "10.0", "", "ten", "-1"],
    "income": ["20000", "0", "", "-5", "1e9", "0.1", "123456.789", "999999999999999999999"],
    "grade": ["A", "", "D"],
    "sex": ["F", "M", "X", ""],
    "stated": ["0.25", "0.2501", "0.3", "", "9", "much"],
    "opened": ["2020-01-31", "2020-02-31", "", "31.1.2020"],
}
RULE = "rule: months >= 0.001 * amount"


@pytest.mark.parametrize("kind", ["texts", "numbers"])
@pytest.mark.parametrize("text", [CONTRACT, MEANINGS], ids=["codes", "meanings"])
@pytest.mark.parametrize("mode", ["application", "pricing"])
def test_columns_are_read_and_checked_as_single_rows_are(text: str, mode: Mode, kind: str) -> None:
    dated = text.replace("  grade:", "  opened: {type: date}\n  grade:")
    book = contract(dated.replace("rule: arrears <= 2 * amount", RULE))
    reader = scoring.ChunkReader(Applications(book, mode), Features(book, mode))
    rng = np.random.default_rng(11)
    frame = pd.DataFrame({name: likely(rng, words) for name, words in WRITTEN.items()})
    if kind == "numbers":
        for name in ("amount", "months", "income", "stated"):
            frame[name] = pd.to_numeric(frame[name], errors="coerce")
    chunk = pa.Table.from_pandas(frame.replace("", None), preserve_index=False)
    encoded, sure = reader.columns.read(chunk)
    whole = reader.read(chunk, 7)
    by_rows = np.full_like(encoded, np.nan), np.full(len(chunk), False)
    with patch.object(reader.columns, "read", return_value=by_rows):
        alone = reader.read(chunk, 7)
    for one, other in zip(whole, alone, strict=True):
        np.testing.assert_array_equal(one, other)
    assert sure.sum() > 200
    assert len(alone[2]) > 200


def likely(rng: np.random.Generator, words: list[str]) -> list[str]:
    """Return 4,000 words, of which the first is the likeliest, so that some rows are valid."""
    rest = 0.25 / (len(words) - 1)
    return rng.choice(words, 4000, p=[0.75, *[rest] * (len(words) - 1)]).tolist()


def test_columns_that_the_contract_does_not_know_are_carried_over(
    engine: Engine, tmp_path: Path
) -> None:
    rows, _ = scored(
        engine, written(tmp_path, "A7,5000,12,car,Y,10,20000", "B,1,,,,,", "C,900,,home,,,")
    )
    assert rows["id"].tolist() == ["A7", "C"]


def test_values_in_files_are_read_as_the_contract_says(engine: Engine, tmp_path: Path) -> None:
    rows, refused = scored(
        engine, written(tmp_path, "1,5000,-9,hoem,Y,10,20000", "2,5000,,home,Y,10,20000")
    )
    assert not refused
    assert rows["default_probability"].nunique() == 1


def test_many_chunks_give_the_same_result_as_one(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [f"{i},{5000 if i % 7 else 1},12,car,Y,10,{20000 + i}" for i in range(900)]
    whole, refused = scored(engine, written(tmp_path, *lines))
    monkeypatch.setattr(chunks, "BLOCK", 3000)
    parts, refused_in_parts = scored(engine, written(tmp_path, *lines))
    pd.testing.assert_frame_equal(whole, parts)
    assert refused == refused_in_parts
    assert len(refused) == 129


def test_the_output_states_the_identity_of_the_model(engine: Engine, tmp_path: Path) -> None:
    scored(engine, written(tmp_path, "1,5000,12,car,Y,10,20000"))
    metadata = pq.read_schema(tmp_path / "out.parquet").metadata
    assert metadata[b"model"].decode() == engine.identity["model"]


def test_a_file_without_rows_gives_an_output_without_rows(engine: Engine, tmp_path: Path) -> None:
    rows, refused = scored(engine, written(tmp_path))
    assert (len(rows), len(refused)) == (0, 0)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("in.txt", "amount\n1\n", "must be .csv or .parquet"),
        ("in.csv", "a,b\n1,2\n", "lacks amount, purpose; it has a, b"),
        ("in.csv", "amount,purpose,rating\n1,car,2\n", "rename rating"),
        ("in.csv", "", "in.csv: "),
        ("in.csv", "a\0,\0b\0", "in.csv: must be in UTF-8; it is in UTF-16"),
        ("in.csv", "amount,purpose\n1\n", "in.csv"),
        ("in.parquet", "no parquet", "in.parquet"),
        ("none.csv", None, "none.csv"),
    ],
)
def test_a_file_that_cannot_be_scored_leaves_nothing_behind(
    root: Path, tmp_path: Path, capsys: Any, name: str, content: str | None, words: str
) -> None:
    if content is not None:
        (tmp_path / name).write_text(content)
    with contextlib.chdir(root):
        code = command.main([str(tmp_path / name), str(tmp_path / "out.parquet")])
    assert code == 2
    errors = capsys.readouterr().err
    assert words in errors
    assert "Errno" not in errors
    assert {p.name for p in tmp_path.iterdir()} <= {name}


def test_an_output_of_another_format_is_refused(root: Path, tmp_path: Path, capsys: Any) -> None:
    source = written(tmp_path, "1,5000,12,car,Y,10,20000")
    with contextlib.chdir(root):
        code = command.main([str(source), str(tmp_path / "out.csv")])
    assert code == 2
    assert "the output must be .parquet; got out.csv" in capsys.readouterr().err
    assert not (tmp_path / "out.csv").exists()


def test_the_command_tells_by_its_exit_code_whether_rows_were_refused(
    root: Path, tmp_path: Path, capsys: Any
) -> None:
    target = str(tmp_path / "out.parquet")
    with contextlib.chdir(root):
        assert command.main([str(written(tmp_path, "1,5000,12,car,Y,10,20000")), target]) == 0
        assert command.main([str(written(tmp_path, "1,1,12,car,Y,10,20000")), target]) == 1
        assert command.main([]) == 2
    assert "0 rows scored" in capsys.readouterr().out


def test_scoring_needs_no_more_memory_for_a_larger_file(root: Path, tmp_path: Path) -> None:
    line = "1,5000,12,car,Y,10,20000\n"
    code = (
        "import resource, sys\nfrom service.batch.__main__ import main\nmain(sys.argv[1:])\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)"
    )
    peaks = []
    for name, count in (("small", 20_000), ("large", 120_000)):
        source = tmp_path / f"{name}.csv"
        source.write_text(f"{HEADER}\n" + line * count)
        command = [sys.executable, "-c", code, str(source), str(tmp_path / f"{name}.parquet")]
        done = subprocess.run(
            command,
            cwd=root,
            env={"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            check=True,
        )
        peaks.append(int(done.stdout.splitlines()[-1]))
    assert peaks[1] < peaks[0] + 60


def three(folder: Path) -> list[Path]:
    """Files of 30, 20 and 10 rows, of which the second has a row that is refused."""
    folder.mkdir()
    paths = []
    for name, rows in (("a", 30), ("b", 20), ("c", 10)):
        paths.append(folder / f"{name}.csv")
        lines = [f"{i},{5000 + i},12,car,Y,10,20000" for i in range(rows)]
        lines[0] = "0,1,12,car,Y,10,20000" if name == "b" else lines[0]
        paths[-1].write_text("\n".join((HEADER, *lines)) + "\n")
    return paths


def run(root: Path, *words: object) -> int:
    with contextlib.chdir(root):
        return command.main([str(word) for word in words])


def test_files_are_scored_into_a_folder_and_only_once(
    root: Path, tmp_path: Path, capsys: Any
) -> None:
    sources, out = three(tmp_path / "in"), tmp_path / "out"
    assert run(root, *sources[:2], out) == 1
    before = {path.name: path.stat().st_mtime_ns for path in out.glob("*.parquet")}
    capsys.readouterr()
    assert run(root, *sources, out) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line.endswith(f"into {out / 'c.parquet'}; 0 refused") for line in lines] == [0, 0, 1]
    assert lines[0] == f"a.csv is scored already, into {out / 'a.parquet'}"
    after = {path.name: path.stat().st_mtime_ns for path in out.glob("*.parquet")}
    assert before.items() < after.items()
    counts = [pq.read_metadata(out / f"{name}.parquet").num_rows for name in "abc"]
    assert counts == [30, 19, 10]
    assert json.loads((out / "b.errors.jsonl").read_text())["row"] == 0


def test_a_file_that_changed_is_scored_again(root: Path, tmp_path: Path) -> None:
    sources, out = three(tmp_path / "in"), tmp_path / "out"
    run(root, *sources, out)
    sources[0].write_text(f"{HEADER}\n1,5000,12,car,Y,10,20000\n")
    assert run(root, sources[0], out) == 0
    assert pq.read_metadata(out / "a.parquet").num_rows == 1
    assert run(root, "--reasons", sources[0], out) == 0
    assert "reasons" in pq.read_schema(out / "a.parquet").names


def test_a_file_that_cannot_be_scored_does_not_stop_the_others(
    root: Path, tmp_path: Path, capsys: Any
) -> None:
    sources, out = three(tmp_path / "in"), tmp_path / "out"
    sources[0].write_text("amount\n1\n")
    assert run(root, *sources, out) == 2
    assert "a.csv: lacks purpose" in capsys.readouterr().err
    assert sorted(path.name for path in out.glob("*.parquet")) == ["b.parquet", "c.parquet"]


def test_a_batch_that_was_killed_goes_on_where_it_was(root: Path, tmp_path: Path) -> None:
    sources, out = three(tmp_path / "in"), tmp_path / "out"
    line = "1,5000,12,car,Y,10,20000\n"
    sources[1].write_text(f"{HEADER}\n" + line * 400_000)
    words = [sys.executable, "-m", "service.batch", *map(str, sources), str(out)]
    environment = {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    running = subprocess.Popen(words, cwd=root, env=os.environ | environment)
    while not (out / ".b.parquet.tmp").exists():
        assert running.poll() is None
        time.sleep(0.01)
    running.kill()
    running.wait()
    assert not (out / "b.parquet").exists()
    assert run(root, *sources, out) == 0
    assert pq.read_metadata(out / "b.parquet").num_rows == 400_000
    assert not [*out.glob("*.tmp")]


def test_two_batches_do_not_write_into_one_folder(root: Path, tmp_path: Path, capsys: Any) -> None:
    sources, out = three(tmp_path / "in"), tmp_path / "out"
    with command.lock_folder(out):
        assert run(root, *sources, out) == 2
    assert "another batch is writing into it" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("a.csv", "b.csv", "out.parquet"), "the output of several files must be a folder"),
        (("x/a.csv", "y/a.parquet", "out"), "two files would be written to"),
        (("--reason", "a.csv", "out"), "the only option is --reasons; got --reason"),
    ],
)
def test_a_command_that_cannot_be_right_is_refused_at_once(
    root: Path, capsys: Any, words: tuple[str, ...], message: str
) -> None:
    assert run(root, *words) == 2
    assert message in capsys.readouterr().err
