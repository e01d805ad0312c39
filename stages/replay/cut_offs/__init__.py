"""Choose cut-offs: under limits, or as far as a bad rate can be promised.

- `frontier`: all cut-offs, and the best of them under limits; `chart`: their plot
- `doubt`: how far a bad rate among the approved can be promised; all others are referred
"""
