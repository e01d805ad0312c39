"""Release an image to every host: `python -m release.deploy`.

- `host/`: the blue/green switch, which runs on a host with the standard library alone
- `infra/`: CloudFormation templates and the README of an account
- `compose/`: the whole stack on one machine, with Prometheus, Alertmanager and Grafana

`release.image.run_check` starts images by `host`, as a host does.
"""
