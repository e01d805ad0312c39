"""What the policy's margin and loss would mean for a book, and what its own rates say."""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from stages.contract.draft.book import DraftField, RawBook
from stages.contract.draft.columns import column_names
from stages.policy.decisions import Policy

Floats = NDArray[np.float64]
PERCENT = 1.0  # a yearly rate above it is written in per cent


def propose_policy(
    book: RawBook, parts: list[DraftField], policy: Policy, dataset: str
) -> list[str]:
    """Return lines on the policy: what it would do to this book, and a margin to try."""
    rate = float(np.nanmean(book.outcome.y))
    outcome = "decline" if rate >= policy.pd_cut_off else "approve"
    even = policy.loss_given_default * rate / (1 - rate)
    lines = [
        f"policy: {rate:.1%} went bad; params.yaml would {outcome} an applicant of that PD "
        f"(cut-off {policy.pd_cut_off:.1%} from margin {policy.margin:g} and loss_given_default "
        f"{policy.loss_given_default:g}). Lending to all breaks even at a margin of {even:.3f}"
    ]
    interest, columns = find_interest(parts)
    if interest is None:
        lines.append(
            "policy: no column tells what a good loan earns: say policy.margin (earned on a good "
            "loan, per unit lent) and policy.loss_given_default (lost on a bad one)"
        )
        return lines
    lines.append(
        f"policy: a good loan earns about {interest:.3f} of its amount in interest ({columns}), "
        f"before the cost of money; to try it: dvc exp run -S dataset={dataset} "
        f"-S policy.margin={interest:.3g}"
    )
    return lines


def find_interest(parts: list[DraftField]) -> tuple[float | None, str]:
    """Return the median interest over the life of a loan per unit lent, and the columns it is from.

    It follows from instalment, amount and term, else from yearly rate and term of loans that are
    repaid in equal instalments: n r / (1 - (1 + r)^-n) - 1 for n months at a monthly rate r.
    """
    terms = _numbers(parts, column_names.TERM)
    for paid in _numbers(parts, column_names.INSTALMENT):
        for amount in _numbers(parts, column_names.LOAN):
            for term in terms:
                if len({paid.name, amount.name, term.name}) == 3:
                    interest = _median(paid.values * term.values / amount.values - 1)
                    if interest is not None:
                        return interest, f"{paid.name}, {amount.name} and {term.name}"
    for rate in _numbers(parts, column_names.RATE):
        for term in terms:
            interest = _median(interest_of(rate.values, term.values))
            if interest is not None:
                return interest, f"{rate.name} and {term.name}"
    return None, ""


def interest_of(rate: Floats, term: Floats) -> Floats:
    """Return the interest per unit lent of loans (n,) of a yearly rate and a term in months.

    Rates whose median is above 1 are in per cent. NaN where either is not positive.
    """
    yearly = rate / 100 if np.nanmedian(rate) > PERCENT else rate
    known = (yearly > 0) & (term > 0)
    monthly, months = np.where(known, yearly / 12, np.nan), np.where(known, term, np.nan)
    return np.asarray(months * monthly / -np.expm1(-months * np.log1p(monthly)) - 1)


def _median(interest: Floats) -> float | None:
    """Return the median of interest (n,) per unit lent; None where that is none."""
    known = interest[np.isfinite(interest)]
    if not len(known):
        return None
    middle = float(np.median(known))
    return middle if 0 < middle < 2 else None  # no loan earns twice its amount


def _numbers(parts: list[DraftField], pattern: re.Pattern[str]) -> list[DraftField]:
    """Return the columns of numbers whose names match."""
    return [p for p in parts if p.is_quantity and column_names.tells(pattern, p.name)]
