"""Compare candidates by their PDs, and write what follows from the choice.

- `rows`: the rows of one split; `predictions`: the PDs out of fold, and the predictions file
- `evaluation`: which candidate wins, and what `models/evaluation.json` says of it
- `blending`: one more candidate, the weighted sum of the margins of others
- `backtest`: the figures of every candidate by origin
- `refit`: the winner fitted again to ship it, once it was judged
- `points`: the points table of a scorecard
- `monotone`: what the directions of risk cost, and whether the PD keeps them: by the model's form
  (`monotone_proof`), or else through all values of a field for each row (`monotone_lines`)
- `golden`: applications with their PD, which a service must reproduce
- `proof`: the file that ships, written once it scores as the winner does
- `reference`: what monitoring compares live applications with
- `plots`: the data of the plots in `models/plots`

`stages.evaluate`, the gate and the service's monitoring import from here. This package imports from
`stages.contract`, `stages.features`, `stages.metrics`, `stages.models` and `stages.policy`.
"""
