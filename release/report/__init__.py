"""Show the judgement of a change to people: `python -m release.report --base REV`.

- `sections`: decisions, calibration and protected groups
- `totals`: the change in numbers of people and in money
- `charts`: ROC, calibration and PDs as charts that GitHub draws
- `shift`: how scores and vintages move
- `engineering`: commit, run, code, features
- `impact`: who is approved by whom, how many of them go bad, what is earned
- `origin`: the winner itself, its size, and what changed in parameters, policy and data
- `timing`: how long the winners of both sides take for an application
- `markdown`: the pieces of GitHub's Markdown that the others are made of

It reads the gate's judgement and is imported by nothing.
"""
