"""Measurements of this project against other ways, as ratios in one run."""
