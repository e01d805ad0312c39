"""Release a model to production, and roll it back.

- `gate` judges a change against its base; `report` writes the judgement for people
- `image` builds, checks and publishes the image of the service
- `attestation` signs what is known about an image: its commit, its models, its judgement
- `deploy` releases an image to the hosts: `deploy/host/` runs on each host, `deploy/infra/` has the
  CloudFormation templates, and `deploy/compose/` is the whole stack on one machine
- `checkpoints` keeps the ledger's signed checkpoints in a bucket with object lock
- `registry` records which version is live; `retrain` makes the weekly challenger; `tracking` copies
  the winner to MLflow
- `remote` pushes data and models to S3 and pulls them
- `dvc_state` and `revisions` read DVC and git; `steps` runs a command and prints its result

Every module with a command explains it in its docstring: `python -m release.NAME --help`. Nothing
outside of this package imports from it.
"""

from contextlib import suppress

with suppress(ImportError):  # a host has only the deployer
    from stages import project

    project.require_environment()
