"""Loss given default and exposure at default, by the segments of params.yaml."""

from __future__ import annotations

import numpy as np
import pytest

from stages.contract.schema import ContractError
from stages.params.commands import ExpectedLoss
from stages.replay import capital, losses
from stages.replay.scored_rows import ScoredRows
from tests.stages.replay.test_comparison import compare, policy
from tests.support.books import contract

SEGMENTS = [
    {"rule": "purpose == home", "loss_given_default": 0.2, "exposure_share": 0.9},
    {"rule": "amount >= 5000", "loss_given_default": 0.7},
]


def rows() -> ScoredRows:
    rng = np.random.default_rng(6)
    purpose = rng.integers(0, 3, 900).astype(np.float64)  # the codes of car, home and other
    features = {"purpose": purpose, "amount": rng.uniform(100, 10_000, 900)}
    pd = rng.beta(1, 8, 900)
    return ScoredRows(pd, np.zeros(900), features, exposure=features["amount"])


def test_the_first_segment_whose_rule_holds_counts() -> None:
    section = ExpectedLoss.model_validate({"loss_given_default": 0.4, "segments": SEGMENTS})
    held = losses.attach(rows(), section, policy(), contract(), "application")
    home, large = held.features["purpose"] == 1, held.features["amount"] >= 5000
    assert np.array_equal(held.lgd, np.where(home, 0.2, np.where(large, 0.7, 0.4)))
    assert np.array_equal(held.exposure_share, np.where(home, 0.9, 1.0))


def test_without_a_statement_losses_are_those_of_the_policy() -> None:
    present = policy()
    plain = losses.attach(rows(), ExpectedLoss(), present, contract(), "application")
    assert (
        compare(plain, present, present)["figures"] == compare(rows(), present, present)["figures"]
    )


def test_expected_loss_and_capital_are_of_the_exposure_at_default() -> None:
    section, present = ExpectedLoss.model_validate({"segments": SEGMENTS}), policy()
    held = losses.attach(rows(), section, present, contract(), "application")
    assert held.lgd is not None
    assert held.exposure_share is not None
    assert held.exposure is not None
    approved = present.decide(held.pd, {}) == 0
    money = held.exposure * held.exposure_share * approved
    totals = compare(held, present, present)["totals"]
    expected = (money * held.pd * held.lgd).sum()
    assert totals["expected_loss"]["present"]["value"] == pytest.approx(expected, rel=1e-9)
    needed = (money * capital.requirement(held.pd, held.lgd, "other_retail")).sum()
    assert totals["capital"]["present"]["value"] == pytest.approx(needed, rel=1e-9)


def test_a_rule_on_what_no_application_has_is_named() -> None:
    section = ExpectedLoss.model_validate({"segments": [{**SEGMENTS[0], "rule": "sex == F"}]})
    with pytest.raises(ContractError, match="sex"):
        losses.attach(rows(), section, policy(), contract(), "application")
