"""Judge candidates by origin: how each did on the months after the day up to which it learned.

- `origins`: the figures of every candidate at every origin, and the data of their plot
- `calibration`: the slope and the level of PDs, with their intervals
- `stability`: how far the scores moved from those of the past (PSI), with its interval

`stages.evaluate` and the gate import from here. This package imports from `stages.metrics`.
"""
