"""The data contract of a loan book and what is read by it."""
