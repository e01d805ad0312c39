"""Decide an application: no web, no ledger."""
