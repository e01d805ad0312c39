from __future__ import annotations

from pathlib import Path

import pytest

from .base_image import is_stand_in
from .engine import Engine

pytestmark = pytest.mark.e2e


def test_an_image_built_on_a_stand_in_base_can_be_told(
    engine: Engine, base_image: str, tmp_path: Path
) -> None:
    (tmp_path / "Dockerfile").write_text(f"FROM {base_image}\nLABEL other=1\n")
    engine.run("build", "--quiet", "--tag", "told", str(tmp_path))
    assert is_stand_in(engine, "told") == is_stand_in(engine, base_image)


def test_the_base_has_the_python_that_the_service_needs(engine: Engine, base_image: str) -> None:
    version = engine.run(
        "run", "--rm", base_image, "python", "-c", "import sys; print(sys.version)"
    )
    assert version.startswith("3.11.")
