"""Compare what the pipeline states with the truth, and its candidates with other models."""
