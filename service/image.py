"""The service as `bentoml build` and `bentoml containerize` install it.

`release.image` calls both, in a folder with nothing but what serving needs; then service/Dockerfile
takes what runs.
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
LIBGOMP = (  # LightGBM needs OpenMP, which the usual base does not have
    "ldconfig -p | grep -q libgomp.so.1 || { apt-get update && "
    "apt-get install --yes --no-install-recommends libgomp1; }"
)
# BentoML would take the newest uv where the base has none; it gets that of
# requirements/e2e.txt, for x86-64 and ARM.
UV = (
    "command -v uv >/dev/null || echo uv==0.13.8 "
    "--hash=sha256:e18a57b8b352eb7c8feb317b9f6f533c8f0ad9673fd6cf34bbe3cf1a9f6a8984 "
    "--hash=sha256:5337c30bb893b4f9ce0ceb921ba2da0d13f649da644f40ad3bef84083bef0203 "
    "| pip install --no-cache-dir --require-hashes -r /dev/stdin"
)
# Where packages come from, if not from the usual index: BuildKit secrets, never in the image.
INDEX = ("PIP_INDEX_URL", "UV_DEFAULT_INDEX", "UV_FIND_LINKS", "UV_NO_INDEX")


class Arguments(BaseModel):
    """`bentoml build --arg NAME=VALUE`; BentoML keeps them in the bento and gives them here."""

    base_image: str = "python:3.11-slim-bookworm"
    git_commit: str = ""


def image(base: str) -> Image:
    """The base and the locked packages; BentoML copies the code after them."""
    # A distro would bring compilers and git; locking would write an index's address down.
    own = Image(base_image=base, distro="none", python_version="3.11", lock_python_packages=False)
    return own.run(LIBGOMP).run(UV).requirements_file(REQUIREMENTS)


arguments = bentoml.use_arguments(Arguments)
if arguments.git_commit:
    os.environ.setdefault("CREDIT_PD_GIT_COMMIT", arguments.git_commit)
service: Any = CreditPD
service.image = image(arguments.base_image)
service.envs = [{"name": name, "stage": "build"} for name in INDEX if name in os.environ]
