"""The way from a green model to production, and back.

- `gate` judges a change against its base, and `report` shows the judgement to people
- `image` builds, checks and publishes the image of the service
- `deploy` releases an image to the hosts; `deploy/host/` is what runs on them, `deploy/infra/` is
  what they need of AWS, `deploy/compose/` is the whole stack on one machine
- `registry` says which version is and was live, `retrain` makes the weekly challenger, `tracking`
  copies the winner to MLflow
- `remote` moves data and models to and from S3
- `dvc_state` and `revisions` say what DVC and git know, `steps` how a command ends

Every module with a command explains it in its docstring: `python -m release.NAME --help`. Nothing
outside of this package imports from it.
"""

from contextlib import suppress

with suppress(ImportError):  # a host has the deployer alone
    from stages import project

    project.require_environment()
