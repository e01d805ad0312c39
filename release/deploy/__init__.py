"""Release an image to every host: `python -m release.deploy`.

- `host/`: the blue/green deployment, which runs on a host and needs only the standard library
- `infra/`: the CloudFormation templates, with a README about the account
- `compose/`: the whole stack on one machine, with Prometheus, Alertmanager and Grafana

`release.image.run_check` uses `host` to start an image as a host does.
"""
