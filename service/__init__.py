"""The decision service and what watches it."""
