"""The tab for auditors: an export of a period with its place in the chain."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import streamlit as st

from service.dashboard import audit, cached, queries

DAYS = 30  # of the period that is chosen first


def audit_period(url: str, scope: str) -> None:
    """Let a person choose a period of whole days in UTC, and download what is recorded of it.

    `scope` says which decisions of which models there are.
    """
    st.caption(scope)
    today = datetime.now(UTC).date()
    chosen = st.date_input("Days, in UTC", (today - timedelta(days=DAYS), today), max_value=today)
    if not isinstance(chosen, tuple) or len(chosen) != 2:
        st.info("Choose the first and the last day.")
        return
    since, until = str(chosen[0]), str(chosen[1] + timedelta(days=1))
    count = cached.query(url, queries.count_entries, since, until)
    st.markdown(
        f"**{count:,} entries** of {chosen[0]} to {chosen[1]}: every kind "
        "as CSV with their hashes in the chain, the drift reports, incidents and policies as JSON, "
        "and a manifest with the head of the chain and the SHA-256 of each file."
    )
    if count > audit.MOST_ENTRIES:
        st.warning(f"One file may have {audit.MOST_ENTRIES:,} entries: choose a shorter period.")
        return
    st.download_button(
        "Download the export",
        lambda: audit.export(cached.engine(url), since, until),
        f"credit-decisions-{chosen[0]}-{chosen[1]}.zip",
        "application/zip",
        on_click="ignore",
    )
