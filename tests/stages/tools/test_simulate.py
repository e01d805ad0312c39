"""The simulated loan book: its bytes, its likeness to a real book, its dirt and its true PD."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from stages import simulate
from stages.simulation import credit_lines, population

ROOT = Path(__file__).parents[3]
REAL = ROOT.parent / "shared" / "data" / "loan_book"
ROWS, SEED, SEPARATION = 50_000, 20190101, 0.45
PUBLIC = 1  # the separation of the public book

Run = Callable[..., Path]
Tables = dict[str, pd.DataFrame]
Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module", params=[SEPARATION, PUBLIC])
def separation(request: pytest.FixtureRequest) -> float:
    return float(request.param)


@pytest.fixture(scope="module")
def columns(separation: float) -> population.Columns:
    return population.draw(ROWS, SEED, separation)


@pytest.fixture(scope="module")
def tables() -> Tables:
    return simulate.book(population.draw(ROWS, SEED, SEPARATION), SEED)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    def call(
        *arguments: str, rows: object = 300, seed: object = SEED, separation: object = SEPARATION
    ) -> Path:
        out = tmp_path / "raw"
        options = {"out": out, "rows": rows, "seed": seed, "separation": separation}
        command = [word for name, value in options.items() for word in (f"--{name}", str(value))]
        monkeypatch.setattr(sys, "argv", ["simulate", *command, *arguments])
        simulate.main()
        return out

    return call


def fingerprint(folder: Path) -> str:
    return hashlib.sha256(
        b"".join(path.read_bytes() for path in sorted(folder.iterdir()))
    ).hexdigest()


def joined(tables: Tables) -> pd.DataFrame:
    """One clean row a loan, with the ratios that credit people look at."""
    loans = tables["loans"].drop_duplicates().query("loan_amount > 0")
    frame = loans.merge(tables["customers"]).merge(tables["bureau"], on="cust_id")
    frame = frame.query("income > 0").replace({"loan_purpose": {"Personaal": "Personal"}})
    return frame.assign(
        loan_to_income=frame.loan_amount / frame.income,
        delinquency_ratio=100 * frame.delinquent_months / frame.total_loan_months,
    )


def test_the_same_seed_writes_the_same_bytes(run: Run) -> None:
    first = fingerprint(run())
    assert fingerprint(run("--force")) == first


def test_another_seed_writes_other_bytes(run: Run) -> None:
    first = fingerprint(run())
    assert fingerprint(run("--force", seed=SEED + 1)) != first


def test_bytes_do_not_depend_on_threads_or_vector_instructions(run: Run, tmp_path: Path) -> None:
    expected = fingerprint(run(rows=3000))
    plain = {"OMP_NUM_THREADS": "1", "NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4 AVX512_ICL"}
    options = f"--out {tmp_path / 'plain'} --rows 3000 --seed {SEED} --separation {SEPARATION}"
    command = ["-m", "stages.simulate", *options.split()]
    subprocess.run(
        [sys.executable, "-W", "ignore", *command], env=os.environ | plain, cwd=ROOT, check=True
    )
    assert fingerprint(tmp_path / "plain") == expected


@pytest.mark.parametrize(
    ("separation", "expected"), [(SEPARATION, "e835262dff1bedae"), (PUBLIC, "1d03243f2d477bac")]
)
def test_the_bytes_are_pinned(run: Run, separation: float, expected: str) -> None:
    """A change here changes the default book: its `.dvc` file and every metric follow."""
    assert fingerprint(run(rows=1000, separation=separation))[:16] == expected


def test_a_history_has_the_same_loans_and_pinned_lines(run: Run) -> None:
    out = run()
    plain = {name: (out / f"{name}.csv").read_bytes() for name in ("loans", "customers")}
    with pytest.raises(SystemExit):
        run("--history", "--force")  # a book of another kind
    for file in out.iterdir():
        file.unlink()
    run("--history")
    names = sorted(path.stem for path in out.iterdir())
    assert names == sorted([*plain, *credit_lines.TABLES])
    assert {name: (out / f"{name}.csv").read_bytes() for name in plain} == plain
    assert fingerprint(out)[:16] == "f949a641445f2dc2"


@pytest.mark.parametrize("rows", [1, 10])
def test_small_books_with_a_history_are_whole(run: Run, rows: int) -> None:
    out = run("--history", rows=rows)
    for name in credit_lines.TABLES:
        assert pd.read_csv(out / f"{name}.csv")["cust_id"].nunique() == rows


def test_the_separation_changes_outcomes_but_no_application(run: Run) -> None:
    weak, strong = (
        pd.read_csv(run("--force", separation=s) / "loans.csv") for s in (SEPARATION, PUBLIC)
    )
    later = ["principal_outstanding", "installment_start_dt", "default"]
    assert weak.drop(columns=later).equals(strong.drop(columns=later))
    assert not weak["default"].equals(strong["default"])


@pytest.mark.parametrize("rows", [1, 10])
def test_small_books_are_whole(run: Run, rows: int) -> None:
    out = run(rows=rows)
    assert [len(pd.read_csv(out / f"{name}.csv")) for name in simulate.TABLES] == [rows] * 3


def test_every_table_has_its_columns_in_order(run: Run) -> None:
    out = run()
    columns = {name: " ".join(pd.read_csv(out / f"{name}.csv").columns) for name in simulate.TABLES}
    assert columns == simulate.TABLES


def test_ids_join_the_three_tables(tables: Tables) -> None:
    keys = [set(table["cust_id"]) for table in tables.values()]
    assert keys[0] == keys[1] == keys[2]


def test_about_nine_percent_are_bad(columns: population.Columns) -> None:
    assert columns["default"].mean() == pytest.approx(0.09, abs=0.005)


def test_true_pd_is_calibrated_in_every_decile(columns: population.Columns) -> None:
    bands = np.array_split(np.argsort(columns["true_pd"], kind="stable"), 10)
    for band in bands:
        expected = columns["true_pd"][band]
        error = np.sqrt((expected * (1 - expected)).sum()) / len(band)
        assert abs(columns["default"][band].mean() - expected.mean()) < 4 * error


@pytest.mark.parametrize("separation", [0.25, 0.4, 0.6, 0.8], indirect=True)
def test_the_bad_rate_stays_at_any_separation(columns: population.Columns) -> None:
    assert columns["true_pd"].mean() == pytest.approx(0.09, abs=0.002)


@pytest.mark.parametrize(
    ("separation", "low", "high"),
    [(0.25, 0.70, 0.74), (SEPARATION, 0.82, 0.86), (0.75, 0.92, 0.94), (PUBLIC, 0.95, 0.975)],
    indirect=["separation"],
)
def test_true_pd_separates_as_well_as_the_separation_says(
    columns: population.Columns, low: float, high: float
) -> None:
    assert low < roc_auc_score(columns["default"], columns["true_pd"]) < high


@pytest.mark.parametrize("exponent", [0.25, 0.45, 0.7, 1.0])
def test_a_power_of_square_roots_is_the_power(exponent: float) -> None:
    base = np.array([1e-9, 0.3, 1.0, 7.0, 1e6])
    assert population.power(base, exponent) == pytest.approx(base**exponent, rel=2e-4)


def test_true_pd_needs_nothing_known_after_disbursal(
    columns: population.Columns, separation: float
) -> None:
    later = {"principal_outstanding", "installment_start_dt", "default", "true_pd"}
    known = {name: values for name, values in columns.items() if name not in later}
    assert np.array_equal(population.true_pd(known, separation), columns["true_pd"])


@pytest.mark.parametrize(
    "field", ["credit_utilization_ratio", "delinquent_months", "total_dpd", "loan_amount"]
)
def test_more_of_a_risky_field_never_lowers_the_true_pd(
    columns: population.Columns, separation: float, field: str
) -> None:
    more = columns | {field: columns[field] + 1 + columns[field] // 10}
    assert (population.true_pd(more, separation) >= columns["true_pd"] - 1e-12).all()


def test_columns_known_after_disbursal_leak_slightly(columns: population.Columns) -> None:
    share = columns["principal_outstanding"] / columns["net_disbursement"]
    delay = (columns["installment_start_dt"] - columns["disbursal_date"]).astype(int)
    assert 0.5 < roc_auc_score(columns["default"], delay) < 0.6
    assert share.max() < 1


def test_loans_are_disbursed_in_order_over_five_years(columns: population.Columns) -> None:
    date = columns["disbursal_date"]
    assert (np.diff(date) >= np.timedelta64(0)).all()
    assert date.min() == population.FIRST_DAY
    assert date.max() == population.LAST_DAY


def test_volume_has_its_seasons(columns: population.Columns) -> None:
    volume = np.bincount(population.month(columns["disbursal_date"]))
    assert volume.argmax() in (2, 9)


def test_the_mix_and_the_level_drift_over_time(columns: population.Columns) -> None:
    late = population.elapsed_share(columns["disbursal_date"]) > 0.5
    for field in ("income", "credit_utilization_ratio", "default"):
        ratio = columns[field][late].mean() / columns[field][~late].mean()
        assert 1.01 < ratio < 1.3, field


@pytest.mark.parametrize(
    ("field", "shares"),
    [
        ("loan_purpose", dict(zip(population.PURPOSES, population.PURPOSE, strict=True))),
        ("gender", {"M": population.MALE, "F": 1 - population.MALE}),
        ("residence_type", {"Owned": 0.568, "Mortgage": 0.237, "Rented": 0.194}),
        ("employment_status", {"Self-Employed": 0.651, "Salaried": 0.349}),
        ("marital_status", {"Married": 0.547, "Single": 0.453}),
    ],
)
def test_categories_come_in_their_shares(
    columns: population.Columns, field: str, shares: dict[str, float]
) -> None:
    drawn = pd.Series(columns[field]).value_counts(normalize=True).to_dict()
    assert drawn == pytest.approx(shares, abs=0.015)


def test_the_dirt_is_there_at_its_rates(tables: Tables) -> None:
    loans, customers = tables["loans"], tables["customers"]
    bad_rates = {
        "typo": (loans["loan_purpose"] == "Personaal").mean() / 0.348,
        "fee": (loans["processing_fee"] > loans["loan_amount"]).mean(),
        "age": customers["age"].isin(simulate.IMPOSSIBLE_AGES).mean(),
        "duplicate": loans.duplicated().mean(),
    }
    rates = {
        "typo": simulate.TYPO,
        "fee": simulate.ABSURD_FEE,
        "age": simulate.IMPOSSIBLE_AGE,
        "duplicate": simulate.DUPLICATE,
    }
    assert bad_rates == pytest.approx(rates, rel=0.6)


@pytest.mark.parametrize("field", simulate.MISSING)
def test_values_go_missing_at_their_rates(tables: Tables, field: str) -> None:
    table = next(table for table in tables.values() if field in table)
    assert table[field].isna().mean() == pytest.approx(simulate.MISSING[field], rel=0.5)


def test_far_below_five_percent_of_the_rows_are_dirty(tables: Tables) -> None:
    frame = tables["loans"].merge(tables["customers"]).merge(tables["bureau"], on="cust_id")
    dirty = frame.isna().any(axis=1) | frame.duplicated() | ~frame["age"].between(18, 70)
    dirty |= frame["processing_fee"] > frame["loan_amount"]
    dirty |= frame["loan_purpose"] == "Personaal"
    assert 0.005 < dirty.mean() < 0.02


def test_the_truth_is_written_only_when_asked_for(run: Run, tmp_path: Path) -> None:
    run()
    assert [path.name for path in tmp_path.iterdir()] == ["raw"]


def test_the_truth_has_a_pd_for_every_loan(run: Run, tmp_path: Path) -> None:
    loans = pd.read_csv(run("--truth", str(tmp_path / "truth.csv")) / "loans.csv")
    truth = pd.read_csv(tmp_path / "truth.csv")
    assert list(truth) == ["loan_id", "true_pd"]
    assert list(truth["loan_id"]) == list(loans["loan_id"].drop_duplicates())
    assert truth["true_pd"].between(0, 1, inclusive="neither").all()


@pytest.mark.parametrize("rows", [0, -1, 5_000_001, "many", 1.5])
def test_an_impossible_number_of_rows_is_named(run: Run, capsys: Capture, rows: object) -> None:
    with pytest.raises(SystemExit):
        run(rows=rows)
    message = f"rows must be an integer in [1, 5_000_000]; got '{rows}'"
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("separation", [0.2, 1.1, "strong", "nan"])
def test_an_impossible_separation_is_named(run: Run, capsys: Capture, separation: object) -> None:
    with pytest.raises(SystemExit):
        run(separation=separation)
    message = f"separation must be a number in [0.25, 1]; got '{separation}'"
    assert message in capsys.readouterr().err


def test_a_book_that_is_there_is_not_overwritten(run: Run, capsys: Capture) -> None:
    before = fingerprint(run())
    with pytest.raises(SystemExit):
        run(seed=1)
    assert "--force" in capsys.readouterr().err
    assert fingerprint(run("--force", seed=SEED)) == before


def test_a_folder_with_other_files_is_never_replaced(run: Run, capsys: Capture) -> None:
    (run() / "notes.txt").write_text("mine")
    with pytest.raises(SystemExit):
        run("--force")
    assert "holds notes.txt" in capsys.readouterr().err


def test_a_failed_write_leaves_the_previous_book(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    out = run()
    before = fingerprint(out)

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(simulate, "write_table", fail)
    with pytest.raises(OSError, match="disk full"):
        run("--force", seed=1)
    assert fingerprint(out) == before
    assert [path.name for path in tmp_path.iterdir()] == ["raw"]


def test_what_is_not_given_comes_from_the_parameters(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    text = (ROOT / "params.yaml").read_text()
    (tmp_path / "params.yaml").write_text(text.replace("rows: 50000", "rows: 7"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["simulate", "--seed", "2"])
    options = simulate.parse()
    assert (options.rows, options.seed, options.separation) == (7, 2, SEPARATION)


def test_missing_parameters_are_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Capture
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["simulate", "--rows", "2"])
    with pytest.raises(SystemExit):
        simulate.parse()
    assert "params.yaml not found" in capsys.readouterr().err


def test_a_place_that_cannot_be_written_ends_without_a_traceback(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    out = tmp_path / "file" / "raw"
    options = f"--out {out} --rows 10 --seed 1 --separation 1".split()
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "stages.simulate", *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "The book cannot be written: " in done.stderr
    assert "Traceback" not in done.stderr


@pytest.fixture(scope="module")
def real() -> pd.DataFrame:
    if not REAL.is_dir():
        pytest.skip("the public loan book is not at ../shared/data/loan_book")
    return joined({name: pd.read_csv(REAL / f"{name}.csv") for name in simulate.TABLES})


@pytest.fixture(scope="module")
def simulated() -> pd.DataFrame:
    return joined(simulate.book(population.draw(ROWS, SEED, PUBLIC), SEED))


@pytest.mark.parametrize(
    "field",
    [
        "age",
        "income",
        "loan_amount",
        "sanction_amount",
        "loan_tenure_months",
        "bank_balance_at_application",
        "principal_outstanding",
        "total_loan_months",
        "total_dpd",
        "credit_utilization_ratio",
        "loan_to_income",
        "delinquency_ratio",
    ],
)
def test_quantiles_are_those_of_the_public_book(
    real: pd.DataFrame, simulated: pd.DataFrame, field: str
) -> None:
    levels = [0.1, 0.25, 0.5, 0.75, 0.9]
    expected, drawn = (frame[field].astype(float).quantile(levels) for frame in (real, simulated))
    assert drawn.to_numpy() == pytest.approx(expected.to_numpy(), rel=0.1, abs=0.5)


def test_rank_correlations_are_those_of_the_public_book(
    real: pd.DataFrame, simulated: pd.DataFrame
) -> None:
    numbers = [name for name in real.select_dtypes("number") if name != "zipcode"]
    expected, drawn = (frame[numbers].corr("spearman") for frame in (real, simulated))
    assert (expected - drawn).abs().to_numpy().max() < 0.08


@pytest.mark.parametrize("field", ["loan_purpose", "residence_type", "number_of_open_accounts"])
def test_bad_rates_by_group_are_near_the_public_book(
    real: pd.DataFrame, simulated: pd.DataFrame, field: str
) -> None:
    expected, drawn = (frame.groupby(field)["default"].mean() for frame in (real, simulated))
    assert drawn.to_dict() == pytest.approx(expected.to_dict(), abs=0.025)
