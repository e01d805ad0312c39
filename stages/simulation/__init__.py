"""The simulated loan book."""
