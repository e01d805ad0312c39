"""Draw the lines behind the bureau's sums: accounts, their monthly payments, and enquiries.

The lines of a customer before the day of the loan add up to the bureau's record of that day. The
lines of the day itself and of the months after it are drawn too, as a bureau's file of today has
them: they tell who did not repay, and a model that counted them would know the outcome.

As in `population`, every step gives the same bits on any machine.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from stages.simulation.population import (
    MONTHS_PER_ACCOUNT,
    WORST_DPD,
    WORST_MONTHS,
    Columns,
    thousands,
)
from stages.simulation.random_columns import Ints, RandomColumns

TABLES = ("tradelines", "payments", "enquiries")
MOST_CLOSED, MOST_OPEN = 2, 4
CLOSED_MONTHS = 12  # the most months that a closed account was paid for
CLOSED_AGO = (2, 24)  # months from the last payment of a closed account to the newest due month
LAST_DUE_DAY = 27  # so that one month before any day holds one due day
ENQUIRY_DAYS = 730
NOISE = 10  # percent by which earlier use of an account differs from today's

MONTHS_AFTER, DELAY_AFTER = 6, 30  # months of later payments; days of delay that each adds when bad
LATE_AFTER = 0.1  # share of late payments after a good loan
WRITTEN_OFF = (200, 300)  # days after the loan
IMPOSSIBLE_DELAY, IMPOSSIBLE = 9999, 0.0005  # a code among days, and the share of lines repeated so


def draw(columns: Columns, seed: int) -> dict[str, Columns]:
    """Return TABLES by name for the columns of a population, by customer and date."""
    accounts = draw_accounts(columns, seed)
    lines = {
        "tradelines": draw_events(columns, accounts, seed),
        "payments": draw_payments(columns, accounts, seed),
        "enquiries": draw_enquiries(columns, seed),
    }
    return {name: in_order(columns, table) for name, table in lines.items()}


def in_order(columns: Columns, lines: Columns) -> Columns:
    """Return lines by customer and date, with the customer's key in place of `owner`."""
    order = np.lexsort((lines["date"], lines["owner"]))
    sorted_lines = {name: values[order] for name, values in lines.items()}
    return {"cust_id": columns["cust_id"][sorted_lines.pop("owner")]} | sorted_lines


def draw_accounts(columns: Columns, seed: int) -> Columns:
    """Return the accounts (a,) of all customers, whose months add up to `total_loan_months`."""
    rows = len(columns["cust_id"])
    exists, months = split_months(columns, RandomColumns(rows, [seed, 2]))
    owner, place = np.nonzero(exists)
    random = RandomColumns(len(owner), [seed, 3])
    is_open = place >= MOST_CLOSED
    due_day = random.integers(1, LAST_DUE_DAY)
    share = 0.1 + 0.4 * random.uniform()
    return {
        "owner": owner,
        "account": np.cumsum(exists, axis=1)[exists],
        "open": is_open,
        "months": months[exists],
        "ended": np.where(is_open, 0, random.integers(*CLOSED_AGO)),
        "due_day": due_day,
        "newest": newest_due_month(columns["disbursal_date"][owner], due_day),
        "kind": np.where(random.chance(0.5), "card", "loan"),
        "limit": thousands(columns["income"][owner] * share),
    }


def split_months(columns: Columns, random: RandomColumns) -> tuple[NDArray[np.bool_], Ints]:
    """Return which accounts (rows, places) customers have, closed ones first, and their months."""
    left = columns["total_loan_months"]
    opened, closed = columns["number_of_open_accounts"], columns["number_of_closed_accounts"]
    exists, months = [], []
    for place in range(MOST_CLOSED):
        exists.append(place < closed)
        drawn = random.integers(0, np.minimum(CLOSED_MONTHS, left - opened))
        months.append(np.where(exists[-1], drawn, 0))
        left = left - months[-1]
    for place in range(MOST_OPEN):
        exists.append(place < opened)
        others = np.maximum(opened - place - 1, 0)
        low = np.maximum(1, left - MONTHS_PER_ACCOUNT * others)
        drawn = random.integers(low, np.minimum(MONTHS_PER_ACCOUNT, left - others))
        months.append(np.where(exists[-1], drawn, 0))
        left = left - months[-1]
    return np.stack(exists, axis=1), np.stack(months, axis=1)


def newest_due_month(decided: NDArray[Any], due_day: Ints) -> Ints:
    """Return the month (a,), counted from 1970, of the last due day before each decision."""
    month = decided.astype("datetime64[M]")
    day = (decided - month.astype("datetime64[D]")).astype(np.int64) + 1
    return np.asarray(month.astype(np.int64) - (due_day >= day), dtype=np.int64)


def day_of(month: Ints, day: Ints) -> NDArray[Any]:
    """Return the dates of days from 1 to 27 of months, counted from 1970."""
    first = month.astype("datetime64[M]").astype("datetime64[D]")
    return np.asarray(first + (day - 1))


def draw_events(columns: Columns, accounts: Columns, seed: int) -> Columns:
    """Return when accounts were opened and closed, the loan's own among them."""
    first_month = accounts["newest"] - accounts["ended"] - accounts["months"]
    opened = {name: accounts[name] for name in ("owner", "account", "kind", "limit")}
    opened |= named("opened", day_of(first_month, accounts["due_day"]))
    ended = ~accounts["open"]
    last_month = accounts["newest"] - accounts["ended"]
    closed = {name: values[ended] for name, values in opened.items()}
    closed |= named("closed", day_of(last_month, accounts["due_day"])[ended] + 15)
    return concatenate(opened, closed, *own_loan(columns, accounts, seed))


def own_loan(columns: Columns, accounts: Columns, seed: int) -> tuple[Columns, Columns]:
    """Return the accounts of the loans themselves: opened on their day, and later written off."""
    rows = len(columns["cust_id"])
    own = {
        "owner": np.arange(rows),
        "account": 1 + np.bincount(accounts["owner"], minlength=rows),
        "kind": np.full(rows, "loan"),
        "limit": columns["loan_amount"],
        **named("opened", columns["disbursal_date"]),
    }
    bad = columns["default"] == 1
    lost = {name: values[bad] for name, values in own.items()}
    days = RandomColumns(rows, [seed, 4]).integers(*WRITTEN_OFF)[bad]
    return own, lost | named("written_off", lost["date"] + days)


def named(event: str, date: NDArray[Any]) -> Columns:
    """Return the columns of an event of some dates."""
    return {"event": np.full(len(date), event), "date": date}


def concatenate(*tables: Columns) -> Columns:
    """Return the rows of several tables with the same columns as one."""
    return {name: np.concatenate([table[name] for table in tables]) for name in tables[0]}


def draw_payments(columns: Columns, accounts: Columns, seed: int) -> Columns:
    """Return a line for each due payment: of the months before the loan, and of some after it."""
    account, back = repeat(accounts["months"])
    month = accounts["newest"][account] - accounts["ended"][account] - back
    random = RandomColumns(len(account), [seed, 5])
    late = late_days(columns, accounts["owner"][account], random, seed)
    noise = np.where(back == 0, 0, random.integers(-NOISE, NOISE))
    before = payment_lines(columns, accounts, account, month, late, noise)
    repeated = random.chance(IMPOSSIBLE)
    broken = {name: values[repeated] for name, values in before.items()}
    broken["days_past_due"] = np.full(repeated.sum(), IMPOSSIBLE_DELAY)
    return concatenate(before, broken, later_payments(columns, accounts, seed))


def payment_lines(
    columns: Columns, accounts: Columns, account: Ints, month: Ints, late: Ints, noise: Ints
) -> Columns:
    """Return lines (m,) of accounts, of which `noise` more or less than today is in use."""
    owner = accounts["owner"][account]
    used = np.clip(columns["credit_utilization_ratio"][owner] + noise, 0, 100)
    return {
        "owner": owner,
        "account": accounts["account"][account],
        "date": day_of(month, accounts["due_day"][account]),
        "days_past_due": late,
        "balance": accounts["limit"][account] // 100 * used,
        "limit": accounts["limit"][account],
    }


def late_days(columns: Columns, owner: Ints, random: RandomColumns, seed: int) -> Ints:
    """Return the days past due (m,) of lines: `delinquent_months` are late, `total_dpd` in all."""
    order = np.lexsort((random.uniform(), owner))
    counts = np.bincount(owner, minlength=len(columns["cust_id"]))
    rank = np.empty(len(owner), dtype=np.int64)
    rank[order] = repeat(counts)[1]
    delays = split_delays(columns, RandomColumns(len(counts), [seed, 9]))
    is_late = rank < columns["delinquent_months"][owner]
    return np.where(is_late, delays[owner, np.minimum(rank, WORST_MONTHS - 1)], 0)


def split_delays(columns: Columns, random: RandomColumns) -> Ints:
    """Return the days past due (rows, WORST_MONTHS) of each customer's late months."""
    late, left = columns["delinquent_months"], columns["total_dpd"]
    delays = []
    for place in range(WORST_MONTHS):
        others = np.maximum(late - place - 1, 0)
        low = np.maximum(1, left - WORST_DPD * others)
        drawn = random.integers(low, np.minimum(WORST_DPD, left - others))
        delays.append(np.where(place < late, drawn, 0))
        left = left - delays[-1]
    return np.stack(delays, axis=1)


def later_payments(columns: Columns, accounts: Columns, seed: int) -> Columns:
    """Return the payments of open accounts after the loan, ever later where it went bad."""
    account, ahead = repeat(np.where(accounts["open"], MONTHS_AFTER, 0))
    random = RandomColumns(len(account), [seed, 6])
    bad = columns["default"][accounts["owner"][account]] == 1
    late = np.where(random.chance(LATE_AFTER), random.integers(1, WORST_DPD), 0)
    late = np.where(bad, DELAY_AFTER * (ahead + 1), late)
    noise = np.where(bad, 100, random.integers(-NOISE, NOISE))
    month = accounts["newest"][account] + 1 + ahead
    return payment_lines(columns, accounts, account, month, late, noise)


def draw_enquiries(columns: Columns, seed: int) -> Columns:
    """Return the enquiries about each customer: those counted, the loan's own, and later ones."""
    owner = repeat(columns["enquiry_count"])[0]
    days = RandomColumns(len(owner), [seed, 7]).integers(1, ENQUIRY_DAYS)
    before = {"owner": owner, "date": columns["disbursal_date"][owner] - days}
    own = {"owner": np.arange(len(columns["cust_id"])), "date": columns["disbursal_date"]}
    bad = {name: values[columns["default"] == 1] for name, values in own.items()}
    later = RandomColumns(len(bad["owner"]), [seed, 8]).integers(1, 90)
    return concatenate(before, own, bad | {"date": bad["date"] + later})


def repeat(counts: Ints) -> tuple[Ints, Ints]:
    """Return the place of each of n things `counts` times, and the numbers from 0 within it."""
    place = np.repeat(np.arange(len(counts)), counts)
    first = np.cumsum(counts) - counts
    return place, np.arange(len(place)) - first[place]
