"""The one feature code, the statistics of features, and the split."""
