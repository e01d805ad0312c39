"""What gives the price of a loan away, as the draft finds it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from stages.contract import reading as contracts
from stages.contract.draft.drafting import Wishes, draft_contract
from stages.contract.draft.price import find_rate, monthly_rate


def priced(rows: int = 800, yearly: float = 0.12) -> pd.DataFrame:
    """A book whose instalments follow from amount, term and a rate."""
    rng = np.random.default_rng(8)
    amount = rng.integers(1000, 30000, rows).astype(float)
    term = rng.choice([12, 24, 36, 48, 60], rows).astype(float)
    rate = (yearly + rng.normal(0, 0.02, rows).clip(-0.05, 0.05)) / 12 if yearly else 0.0
    paid = amount * rate / (1 - (1 + rate) ** -term) if yearly else amount / term
    bad = rng.random(rows) < 0.2
    columns = {"loan_amount": amount, "term": term, "instalment": np.round(paid, 2), "bad": bad * 1}
    return pd.DataFrame(columns)


def test_the_rate_of_an_instalment_is_found_to_the_last_digits() -> None:
    amount, term = np.array([10_000.0]), np.array([36.0])
    paid = amount * 0.01 / (1 - 1.01**-term)
    assert monthly_rate(paid, amount, term) == pytest.approx(0.01, abs=1e-12)


def test_an_instalment_without_interest_or_of_other_loans_tells_no_rate() -> None:
    book = priced(yearly=0.0)
    amount, term = book["loan_amount"].to_numpy(), book["term"].to_numpy()
    assert find_rate(amount / term, amount, term) is None
    other = np.random.default_rng(1).uniform(50, 2000, len(amount))
    assert find_rate(other, amount, term) is None


def test_a_draft_asks_whether_the_instalment_may_be_known(tmp_path: Path) -> None:
    priced().to_csv(tmp_path / "loans.csv", index=False)
    drafted = draft_contract([tmp_path / "loans.csv"], Wishes("bad"))
    note = next(line for line in drafted.confirm if line.startswith("instalment:"))
    assert "gives the price away: with loan_amount and term it tells the rate, here 1" in note
    assert "# known_at: pricing   # suspected leak" in drafted.text
    field = contracts.read(drafted.text).fields["instalment"]
    assert field.is_feature
    assert field.known_at == "application"
    marked = drafted.text.replace("    # known_at: pricing   #", "    known_at: pricing   #")
    assert contracts.read(marked).fields["instalment"].known_at == "pricing"


def test_a_draft_does_not_ask_where_no_rate_is_reported(tmp_path: Path) -> None:
    priced(yearly=0.0).to_csv(tmp_path / "loans.csv", index=False)
    drafted = draft_contract([tmp_path / "loans.csv"], Wishes("bad"))
    assert "gives the price away" not in "\n".join(drafted.confirm)
