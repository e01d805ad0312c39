"""Draw the plots as SVG files and a page without any script: `python -m stages.plots`.

- `roc`, `ranking`: charts of how well the PDs of the winner and of all candidates rank loans
- `probabilities`: charts of the PDs themselves: calibration, distribution, vintages and decisions
- `layers`: the parts of Vega-Lite that the charts are made of
- `page`: the page that shows them

The command reads models/plots and models/evaluation.json, and writes build/plots, which opens
without a network. Nothing may import from here.
"""
