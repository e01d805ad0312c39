"""Draft a contract from the raw files of an unknown loan book."""
