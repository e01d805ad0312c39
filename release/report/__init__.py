"""The report of a change."""
