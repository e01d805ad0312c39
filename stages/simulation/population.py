"""Draw a population of borrowers and their loans, with the true PD of each loan.

The constants are calibrated to the marginals and the dependence of a public three-table loan book
(12,500 loans, 8.6 % bad, 2019 to 2024); seasons, growth and drift are added. A row of a table of
shares sums to one.

Every draw is a uniform number, and every step after it is one of + - * /, square root, rounding or
comparison. IEEE 754 fixes these to the last bit on any machine; exp, log, powers and matrix
products differ between machines and are not used here. A power is made of square roots.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from stages.simulation.random_columns import Floats, Ints, RandomColumns

Columns = dict[str, NDArray[Any]]

FIRST_DAY, LAST_DAY = np.datetime64("2019-07-01"), np.datetime64("2024-06-30")
MONTH_VOLUME = np.array([96, 92, 112, 94, 96, 98, 98, 102, 104, 114, 106, 88])  # January first
MONTH_ODDS = np.array([1.20, 1.05, 0.95, 0.95, 0.95, 1.00, 1.05, 1.00, 0.95, 0.90, 1.00, 1.10])
GROWTH = 0.20  # of the daily volume, first day to last
INCOME_GROWTH = 0.12
ODDS_GROWTH = 0.15

IDENTIFIERS = {"loan_id": "L", "cust_id": "C"}
CITIES = {
    "Ahmedabad": ("Gujarat", 380001),
    "Bangalore": ("Karnataka", 560001),
    "Chennai": ("Tamil Nadu", 600001),
    "Delhi": ("Delhi", 110001),
    "Hyderabad": ("Telangana", 500001),
    "Jaipur": ("Rajasthan", 302001),
    "Kolkata": ("West Bengal", 700001),
    "Lucknow": ("Uttar Pradesh", 226001),
    "Mumbai": ("Maharashtra", 400001),
    "Pune": ("Maharashtra", 411001),
}
AGE_MEAN, AGE_SD, AGE_BOUNDS = 39.5, 10.0, (18, 70)
MALE = 0.597
AGE_BANDS = [25.5, 35.5, 45.5, 55.5]
SELF_EMPLOYED = np.array([0.66, 0.46, 0.63, 0.85, 0.91])  # by age band
MARRIED = np.array([0.20, 0.40, 0.60, 0.70, 0.82])
RESIDENCES = ["Owned", "Mortgage", "Rented"]
RESIDENCE_BANDS = [28.5, 49.5]
RESIDENCE = np.array([[0.71, 0.00, 0.29], [0.505, 0.297, 0.198], [0.69, 0.21, 0.10]])  # by band
DEPENDANTS = np.array(
    [
        [0.61, 0.29, 0.10, 0.00, 0.00, 0.00],  # single
        [0.00, 0.00, 0.26, 0.44, 0.22, 0.08],  # married
    ]
)
INCOME_EDGES = [0.1e6, 1e6, 2.5e6, 4e6, 12e6]
INCOME = np.array(
    [
        [0.56, 0.19, 0.10, 0.15],  # salaried women
        [0.35, 0.40, 0.14, 0.11],  # salaried men
        [0.34, 0.25, 0.31, 0.10],  # self-employed women
        [0.20, 0.31, 0.28, 0.21],  # self-employed men
    ]
)

PURPOSES = ["Home", "Education", "Auto", "Personal"]
PURPOSE = [0.298, 0.155, 0.199, 0.348]
SANCTION_TO_INCOME = np.array([3.40, 1.70, 1.27, 0.85])  # by purpose, at the age of 40
SANCTION_CAP = np.array([60e6, 20e6, 10e6, 5e6])
TENURE = np.array([(24, 48), (12, 59), (12, 35), (6, 23)])  # months, both ends included

MONTHS_PER_ACCOUNT = 60
DELINQUENT = [0.39, 0.516, 0.094]  # never; 1 to 12 months; 13 to 24 months
WORST_MONTHS, WORST_DPD = 24, 10
UTILIZATION_EDGES = [0, 30, 60, 90, 100]
UTILIZATION_FIRST = np.array([0.43, 0.30, 0.18, 0.09])  # shares of the bands on the first day ...
UTILIZATION_LAST = np.array([0.39, 0.29, 0.21, 0.11])  # ... and on the last

BASE_ODDS = 0.00013
RESIDENCE_ODDS = {"Owned": 0.30, "Rented": 3.2}
PURPOSE_ODDS = {"Education": 1.6, "Auto": 0.8}
LEVEL_OFFSET, LEVEL_SLOPE = 0.956, 0.076  # fitted to 9 % bad at separations from 1/4 to 1
POWER_BITS = 16


def draw(rows: int, seed: int, separation: float = 1.0) -> Columns:
    """Return the columns (rows,) of loans by name, in the order of disbursal and without errors.

    They are the columns of the three raw tables, and `true_pd` (float64). `separation` says how
    well the applications separate good from bad loans, as `true_pd` explains; it does not change
    the applications themselves.
    """
    random = RandomColumns(rows, seed)
    date = FIRST_DAY + disbursal_days(random)
    columns = identifiers(rows) | {"disbursal_date": date}
    columns |= customers(random, elapsed_share(date))
    columns |= bureau(random, elapsed_share(date))
    columns |= loans(random, columns)
    columns["true_pd"] = true_pd(columns, separation)
    columns["default"] = random.chance(columns["true_pd"]).astype(np.int64)
    return columns | after_disbursal(random, columns)


def identifiers(rows: int) -> Columns:
    """Return the keys L00001, C00001 and so on (rows,), longer for large books."""
    width = max(5, len(str(rows)))
    numbers = [f"{number:0{width}d}" for number in range(1, rows + 1)]
    return {key: np.array([letter + n for n in numbers]) for key, letter in IDENTIFIERS.items()}


def disbursal_days(random: RandomColumns) -> Ints:
    """Return the days since FIRST_DAY (rows,), ascending, with seasons and yearly growth."""
    days = np.arange(FIRST_DAY, LAST_DAY + 1)
    volume = MONTH_VOLUME[month(days)] * (1 + GROWTH * np.arange(len(days)) / len(days))
    return np.sort(random.pick(volume))


def customers(random: RandomColumns, time: Floats) -> Columns:
    """Return the applicants at `time` (rows,) in [0, 1]; incomes (rupees a year) grow with it."""
    age = np.rint(np.clip(AGE_MEAN + AGE_SD * random.bell(), *AGE_BOUNDS)).astype(np.int64)
    band = np.searchsorted(AGE_BANDS, age)
    male = random.chance(MALE)
    self_employed = random.chance(SELF_EMPLOYED[band])
    married = random.chance(MARRIED[band])
    city = random.integers(0, len(CITIES) - 1)
    level = 1 + INCOME_GROWTH * (time - 0.5)
    group = 2 * self_employed + male
    income = random.within(INCOME_EDGES, random.pick_by_row(INCOME[group])) * level
    home = random.pick_by_row(RESIDENCE[np.searchsorted(RESIDENCE_BANDS, age)])
    return {
        "age": age,
        "gender": np.where(male, "M", "F"),
        "marital_status": np.where(married, "Married", "Single"),
        "employment_status": np.where(self_employed, "Self-Employed", "Salaried"),
        "income": thousands(income),
        "number_of_dependants": random.pick_by_row(DEPENDANTS[married.astype(np.int64)]),
        "residence_type": np.array(RESIDENCES)[home],
        "years_at_current_address": random.integers(1, 31),
        "city": np.array(list(CITIES))[city],
        "state": np.array([state for state, _ in CITIES.values()])[city],
        "zipcode": np.array([code for _, code in CITIES.values()])[city],
    }


def bureau(random: RandomColumns, time: Floats) -> Columns:
    """Return the bureau records at `time` (rows,); utilization (percent) rises with it."""
    accounts = random.integers(1, 4)
    months = np.zeros(random.rows, dtype=np.int64)
    for account in range(4):
        age = random.integers(1, MONTHS_PER_ACCOUNT)
        months += np.where(account < accounts, age, 0)
    history = random.pick(DELINQUENT)
    low, high = np.array([0, 1, 13])[history], np.array([0, 12, 24])[history]
    high = np.minimum(high, months)
    delinquent = random.integers(np.minimum(low, high), high)
    days_past_due = np.zeros(random.rows, dtype=np.int64)
    for past in range(WORST_MONTHS):
        late = random.integers(1, WORST_DPD)
        days_past_due += np.where(past < delinquent, late, 0)
    shares = UTILIZATION_FIRST + time[:, None] * (UTILIZATION_LAST - UTILIZATION_FIRST)
    utilization = random.within(UTILIZATION_EDGES, random.pick_by_row(shares))
    return {
        "number_of_open_accounts": accounts,
        "number_of_closed_accounts": random.integers(0, 2),
        "total_loan_months": months,
        "delinquent_months": delinquent,
        "total_dpd": days_past_due,
        "enquiry_count": accounts + random.integers(0, 5),
        "credit_utilization_ratio": np.floor(utilization).astype(np.int64),
    }


def loans(random: RandomColumns, columns: Columns) -> Columns:
    """Return the loans, in rupees; older borrowers are granted less for the same income."""
    income = columns["income"]
    purpose = random.pick(PURPOSE)
    by_age = np.clip(1.28 - 0.0125 * (columns["age"] - 18), 0.82, None)
    asked = income * SANCTION_TO_INCOME[purpose] * by_age * (0.9 + 0.2 * random.uniform())
    sanction = thousands(np.minimum(asked, SANCTION_CAP[purpose]))
    loan = thousands(sanction * (0.7 + 0.3 * random.uniform()))
    balance = income * np.clip(0.374 + 0.092 * random.bell(), 0.15, 0.72)
    return {
        "loan_purpose": np.array(PURPOSES)[purpose],
        "loan_type": np.where(purpose == PURPOSES.index("Personal"), "Unsecured", "Secured"),
        "sanction_amount": sanction,
        "loan_amount": loan,
        "processing_fee": loan / 50,
        "gst": loan * 18 // 100,
        "net_disbursement": loan * 8 // 10,
        "loan_tenure_months": random.integers(TENURE[purpose, 0], TENURE[purpose, 1]),
        "bank_balance_at_application": np.rint(balance).astype(np.int64),
    }


def after_disbursal(random: RandomColumns, columns: Columns) -> Columns:
    """Return the columns known after disbursal: bad loans start later and repay a little less."""
    bad = columns["default"]
    able = 0.56 + 0.004 * (columns["age"] - 40) + 0.025 * (columns["number_of_open_accounts"] - 2.5)
    owed = columns["income"] * (able + 0.07 * random.bell()) * (1 + 0.05 * bad)
    owed = np.minimum(np.minimum(owed, 0.9 * columns["net_disbursement"]), 5e6)
    return {
        "principal_outstanding": np.rint(owed).astype(np.int64),
        "installment_start_dt": columns["disbursal_date"] + random.integers(1 + bad, 29 + 2 * bad),
    }


def true_pd(columns: Columns, separation: float = 1.0) -> Floats:
    """Return the PD of each loan (rows,) in (0, 1), from the application and the date.

    Odds multiply; utilization, delinquency and burden saturate and strengthen one another.
    `separation` in [0.25, 1] scales the log-odds that the application gives, at the same bad rate:
    the true PD reaches an AUC of 0.96 with 1, as in the public book, and of 0.84 with 0.45.
    Seasons and the growth of the odds are not scaled.
    """
    utilization = hill_curve(columns["credit_utilization_ratio"], 105, 14)
    delinquency = hill_curve(
        100 * columns["delinquent_months"] / columns["total_loan_months"], 100, 2
    )
    burden = hill_curve(columns["loan_amount"] / np.maximum(columns["income"], 1), 4, 4)
    lateness = hill_curve(columns["total_dpd"], 15, 1)
    youth = 1 - hill_curve(columns["age"], 35, 4)
    date = columns["disbursal_date"]
    odds = BASE_ODDS * (1 + 2500 * utilization)
    odds *= 1 + 2 * lateness + 500 * delinquency
    odds *= 1 + 60 * burden
    odds *= 1 + 10 * utilization * burden
    odds *= 1 + 0.15 * columns["enquiry_count"]
    odds *= 1 + 0.3 * youth
    odds *= multiplier(columns["residence_type"], RESIDENCE_ODDS)
    odds *= multiplier(columns["loan_purpose"], PURPOSE_ODDS)
    odds = power(odds, separation) * level_of(separation)
    odds *= MONTH_ODDS[month(date)] * (1 + ODDS_GROWTH * (elapsed_share(date) - 0.5))
    return odds / (1 + odds)


def power(base: Floats, exponent: float) -> Floats:
    """Return `base ** exponent` for an exponent in (0, 1], rounded to POWER_BITS binary digits.

    A product of square roots, so it is the same to the last bit on any machine.
    """
    digits = round(exponent * 2**POWER_BITS)
    raised, root = np.ones(len(base)), base
    for place in range(POWER_BITS, -1, -1):
        if digits >> place & 1:
            raised = raised * root
        root = np.sqrt(root)
    return raised


def level_of(separation: float) -> float:
    """Return the factor of the odds that keeps the bad rate near 9 % at this separation."""
    return 1 - (1 - separation) * (LEVEL_OFFSET + LEVEL_SLOPE * separation)


def hill_curve(x: NDArray[Any], half: float, power: int) -> Floats:
    """Return the Hill curve `x^power / (half^power + x^power)`: 0 at 0, 1/2 at `half`, below 1."""
    raised = np.ones(len(x))
    for _ in range(power):
        raised = raised * (x / half)
    return raised / (1 + raised)


def multiplier(names: NDArray[Any], odds: dict[str, float]) -> Floats:
    """Return the odds multiplier of each name (rows,), which is 1 for a name not listed."""
    return np.select([names == name for name in odds], list(odds.values()), 1.0)


def elapsed_share(dates: NDArray[Any]) -> Floats:
    """Return the time of each date, from 0 on the first day to 1 on the last."""
    return np.asarray((dates - FIRST_DAY) / (LAST_DAY - FIRST_DAY), dtype=np.float64)


def month(dates: NDArray[Any]) -> Ints:
    """Return the month of each date, from 0 for January to 11 for December."""
    return np.asarray(dates.astype("datetime64[M]").astype(np.int64) % 12, dtype=np.int64)


def thousands(amounts: Floats) -> Ints:
    """Return amounts rounded to whole thousands, and at least one thousand."""
    return np.maximum(np.rint(amounts / 1000), 1).astype(np.int64) * 1000
