"""Assign the rows of a book to training, validation and test, as its contract asks."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stages.contract.raw.columns import outcome_known
from stages.contract.schema import Contract, ContractError
from stages.features import groups, split


def with_copies(contract: Contract, rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows with `_copy`: one code for all that agree in all early fields.

    Early fields are those that are known before the outcome. Copies are of one customer, so
    `_entity` gets one code for the customers of all copies, and of all other loans of these.
    """
    copy = groups.copies(rows[early_fields(contract)], rows["_bad"].to_numpy(np.int64))
    return connect_copies(contract, rows, copy)


def early_fields(contract: Contract) -> list[str]:
    """Return the fields that are known before the outcome."""
    return [f.name for f in contract.fields.values() if f.known_at != "outcome"]


def connect_copies(contract: Contract, rows: pd.DataFrame, copy: NDArray[np.int64]) -> pd.DataFrame:
    """Return the rows with `_copy` (n,), and with the groups of its customers as `_entity`."""
    if not contract.entity:
        return rows.assign(_copy=copy)
    return rows.assign(_copy=copy, _entity=groups.connect(rows["_entity"].to_numpy(), copy))


def assign(
    contract: Contract, rows: pd.DataFrame, shares: tuple[float, float], seed: int
) -> NDArray[np.int64]:
    """Return the place in `split.SPLITS` (n,) of each row of `with_copies`, or `split.EMBARGOED`.

    `shares` are those of validation and test. Raises ContractError where three parts cannot be
    made, or where one lacks good or bad loans.
    """
    if contract.date:
        days = rows["_date"].to_numpy()
        place = split.by_time(days, *shares, outcome_known(days, contract))
    else:
        group = rows["_entity" if contract.entity else "_copy"].to_numpy()
        if contract.entity:
            check_entities(contract.entity, len(rows), len(np.unique(group)))
        place = split.draw_stratified(rows["_bad"].to_numpy(np.int64), group, *shares, seed)
    check_outcomes(place, rows["_bad"].to_numpy(np.int64))
    return place


def check_entities(entity: str, rows: int, entities: int) -> None:
    """Raise ContractError where there are too few customers to keep each on one side."""
    if entities < len(split.SPLITS):
        raise ContractError(
            f"entity: {entity} has {entities} distinct value{'s' * (entities != 1)} in {rows:,} "
            f"loans, and all loans of one stay together in {', '.join(split.SPLITS)}: name the "
            "column that tells customers apart, or leave `entity` out of the contract"
        )


def check_outcomes(place: NDArray[np.int64], bad: NDArray[np.int64]) -> None:
    """Raise ContractError where a part lacks good or bad loans: place and bad are (n,)."""
    for part, name in enumerate(split.SPLITS):
        outcomes = bad[place == part]
        if len(np.unique(outcomes)) < 2:
            raise ContractError(
                f"{name}: needs good and bad loans; got {len(outcomes)} rows with outcomes "
                f"{np.unique(outcomes).tolist()}"
            )
