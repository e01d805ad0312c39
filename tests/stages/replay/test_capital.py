"""Capital by the internal ratings-based approach, against the numbers that Basel published."""

from __future__ import annotations

import numpy as np
import pytest

from stages.replay import capital
from stages.replay.capital import AssetClass

# Basel II, June 2006, Annex 5, "Illustrative IRB Risk Weights for UL", in percent:
# the PD, then mortgages at an LGD of 45 % and 25 %, other retail and revolving at 45 % and 85 %.
PUBLISHED = (
    (0.03, 4.15, 2.30, 4.45, 8.41, 0.98, 1.85),
    (0.05, 6.23, 3.46, 6.63, 12.52, 1.51, 2.86),
    (0.10, 10.69, 5.94, 11.16, 21.08, 2.71, 5.12),
    (0.25, 21.30, 11.83, 21.15, 39.96, 5.76, 10.88),
    (0.40, 29.94, 16.64, 28.42, 53.69, 8.41, 15.88),
    (0.50, 35.08, 19.49, 32.36, 61.13, 10.04, 18.97),
    (0.75, 46.46, 25.81, 40.10, 75.74, 13.80, 26.06),
    (1.00, 56.40, 31.33, 45.77, 86.46, 17.22, 32.53),
    (1.30, 67.00, 37.22, 50.80, 95.95, 21.02, 39.70),
    (1.50, 73.45, 40.80, 53.37, 100.81, 23.40, 44.19),
    (2.00, 87.94, 48.85, 57.99, 109.53, 28.92, 54.63),
    (2.50, 100.64, 55.91, 60.90, 115.03, 33.98, 64.18),
)
COLUMNS: tuple[tuple[AssetClass, float], ...] = (
    ("mortgage", 0.45),
    ("mortgage", 0.25),
    ("other_retail", 0.45),
    ("other_retail", 0.85),
    ("revolving", 0.45),
    ("revolving", 0.85),
)


@pytest.mark.parametrize(("place", "asset_class", "lgd"), [(i, *c) for i, c in enumerate(COLUMNS)])
def test_risk_weights_are_those_that_basel_published(
    place: int, asset_class: AssetClass, lgd: float
) -> None:
    table = np.array(PUBLISHED)
    weight = capital.RISK_WEIGHT * capital.requirement(table[:, 0] / 100, lgd, asset_class)
    assert 100 * weight == pytest.approx(table[:, place + 1], abs=0.0075)


def test_a_certain_default_and_a_certain_repayment_need_no_capital() -> None:
    for asset_class in capital.CLASSES:
        needed = capital.requirement(np.array([0.0, 1.0]), 0.5, asset_class)
        assert needed == pytest.approx([0, 0])
