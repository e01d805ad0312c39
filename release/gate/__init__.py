"""Judge a change against its base: `python -m release.gate --base REV`.

- `limits`: the policy in models/gate.yaml, and what loosens it
- `parameters`: what params.yaml says of rows, decisions and figures; other keys decide nothing
- `predictions`, `recalculation`: the rows that both sides are judged on, and the figures that
  follow from them
- `reproduction`: what comes of the change where its rows, PDs, models and outputs are made again
- `provenance`: whether commit, pipeline and remote hold what was judged
- `comparison`, `checks`: champion against challenger, and the rules that hold for both
- `red_flags`: what a person must answer for, since figures cannot judge it
- `verdict`: all these in their order, and the ratchet against the best model since the last reset
- `judgement`: all findings, and the verdict that follows from them

`release.report` and `release.retrain` import from here; nothing else does.
"""
