"""Files of applications are scored as requests are, in bounded memory, with refused rows beside."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest

from service import batch
from service.decision.engine import Engine
from tests.support.books import ROOT, Project
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
    counts = batch.score(engine, source, target)
    rows = pq.read_table(target).to_pandas()
    lines = [json.loads(line) for line in batch.errors_of(target).read_text().splitlines()]
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
    monkeypatch.setattr(batch, "BLOCK", 3000)
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
        code = batch.main([str(tmp_path / name), str(tmp_path / "out.parquet")])
    assert code == 2
    assert words in capsys.readouterr().err
    assert {p.name for p in tmp_path.iterdir()} <= {name}


def test_an_output_of_another_format_is_refused(root: Path, tmp_path: Path, capsys: Any) -> None:
    source = written(tmp_path, "1,5000,12,car,Y,10,20000")
    with contextlib.chdir(root):
        code = batch.main([str(source), str(tmp_path / "out.csv")])
    assert code == 2
    assert "the output must be .parquet; got out.csv" in capsys.readouterr().err
    assert not (tmp_path / "out.csv").exists()


def test_the_command_tells_by_its_exit_code_whether_rows_were_refused(
    root: Path, tmp_path: Path, capsys: Any
) -> None:
    target = str(tmp_path / "out.parquet")
    with contextlib.chdir(root):
        assert batch.main([str(written(tmp_path, "1,5000,12,car,Y,10,20000")), target]) == 0
        assert batch.main([str(written(tmp_path, "1,1,12,car,Y,10,20000")), target]) == 1
        assert batch.main([]) == 2
    assert "0 rows scored" in capsys.readouterr().out


def test_scoring_needs_no_more_memory_for_a_larger_file(root: Path, tmp_path: Path) -> None:
    line = "1,5000,12,car,Y,10,20000\n"
    code = (
        "import resource, sys\nfrom service.batch import main\nmain(sys.argv[1:])\n"
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
