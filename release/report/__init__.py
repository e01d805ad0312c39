"""Show the judgement of a change to people: `python -m release.report --base REV`.

- `sections`: decisions, calibration and protected groups
- `impact`: who is approved by whom, how many of them go bad, what is earned
- `origin`: the winner itself, and what changed in parameters, policy and data
- `artifact`: size and latency of the winner
- `markdown`: the pieces of GitHub's Markdown that the others are made of

It reads the gate's judgement and is imported by nothing.
"""
