"""Draw the plots as SVG files and a page without any script: `python -m stages.plots`.

- `roc`, `ranking`: charts of how well PDs rank loans, of the winner and of all candidates
- `probabilities`: charts of what PDs say: calibration, distribution, vintages and decisions
- `layers`: the parts of Vega-Lite that the charts are made of
- `page`: the page that shows them

It reads models/plots and models/evaluation.json, and writes build/plots, which opens without a
network. Nothing may import from here.
"""
