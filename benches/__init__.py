"""Measurements of this project against other ways, as ratios in one run.

- `pipeline`: the stages against their fitting calls; `growth`: time and memory by the rows
- `serving`: the speed of the service, and its behaviour under too much load
- `judging`: stated figures against the truth, and the candidates against other models
"""
