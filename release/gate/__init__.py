"""Judge a change against its base: `python -m release.gate --base REV`.

- `limits`: the policy in models/gate.yaml, and what loosens it
- `predictions`, `recalculation`, `rescoring`: the rows that both sides are judged on, the figures
  that follow from them, and the PDs that the artifact gives them
- `provenance`: whether commit, pipeline and remote hold what was judged
- `comparison`, `checks`: champion against challenger, and the rules that hold for both
- `attention`: what a person should look at, whatever the figures say
- `judgement`: all findings, and the verdict that follows from them

`release.report` and `release.retrain` import from here; nothing else does.
"""
