"""A story of two minutes about a model in use: `python -m service.demo`.

It serves the winner and the dashboard, sends traffic that drifts, and says in the terminal what the
monitor finds. No other package imports from here.

- `__main__`: starts the service, the dashboard and the traffic, and ends all of them
- `story`: the chapters of the story, and the narrator who reads the monitor's reports
- `receiver`: takes the alerts and the request to retrain in the place of people and of GitHub
"""
