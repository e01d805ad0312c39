"""Judge a change against its base: `python -m release.gate --base REV`.

- `limits`: the policy in models/gate.yaml, and what loosens it
- `parameters`: what params.yaml says of rows, decisions and figures; other keys decide nothing
- `predictions`, `recalculation`: the rows that both sides are judged on, and the figures that
  follow from them
- `rescoring`, `reproduction`: the PDs that the artifact gives them, and what training again gives
- `blind_training`: whether the candidates change with the test part, which they must not read
- `pickled_names`: what a joblib file would import, without importing it
- `provenance`: whether commit, pipeline and remote hold what was judged
- `comparison`, `checks`: champion against challenger, and the rules that hold for both
- `red_flags`: what a person must answer for, since figures cannot judge it
- `verdict`: all these in their order, and the ratchet against the best model since the last reset
- `judgement`: all findings, and the verdict that follows from them

`release.report` and `release.retrain` import from here; nothing else does.
"""
