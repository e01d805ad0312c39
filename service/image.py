"""Tell `bentoml build` and `bentoml containerize` how to install the service.

`release.image` calls both in a folder that holds only the files that serving needs. Afterwards
service/Dockerfile copies the installed packages and the code into the final image.
"""

from __future__ import annotations

import os
from typing import Any

import bentoml
from bentoml.images import Image
from pydantic import BaseModel

from service.service import CreditPD

__all__ = ["CreditPD"]

REQUIREMENTS = "requirements/service.txt"
# BentoML would install the newest uv where the base image has none. This is the version of
# requirements/e2e.txt, for x86-64 and ARM.
UV = (
    "command -v uv >/dev/null || echo uv==0.13.8 "
    "--hash=sha256:e18a57b8b352eb7c8feb317b9f6f533c8f0ad9673fd6cf34bbe3cf1a9f6a8984 "
    "--hash=sha256:5337c30bb893b4f9ce0ceb921ba2da0d13f649da644f40ad3bef84083bef0203 "
    "| pip install --no-cache-dir --require-hashes -r /dev/stdin"
)
# Settings of another package index are passed as BuildKit secrets and never written to the image.
INDEX = ("PIP_INDEX_URL", "UV_DEFAULT_INDEX", "UV_FIND_LINKS", "UV_NO_INDEX")


class Arguments(BaseModel):
    """The values of `bentoml build --arg NAME=VALUE`, which BentoML keeps in the bento."""

    base_image: str = "python:3.11-slim-bookworm"
    git_commit: str = ""


def create_image(base: str) -> Image:
    """Return the base image with the locked packages; BentoML copies the code afterwards."""
    # A distro adds compilers and git; BentoML's locking writes an index address into the bento.
    packages = Image(
        base_image=base, distro="none", python_version="3.11", lock_python_packages=False
    )
    return packages.run(UV).requirements_file(REQUIREMENTS)


arguments = bentoml.use_arguments(Arguments)
if arguments.git_commit:
    os.environ.setdefault("CREDIT_PD_GIT_COMMIT", arguments.git_commit)
service: Any = CreditPD
service.image = create_image(arguments.base_image)
service.envs = [{"name": name, "stage": "build"} for name in INDEX if name in os.environ]
