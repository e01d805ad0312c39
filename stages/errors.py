"""End a stage on a user's mistake with one message instead of a traceback."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stages.contract.reading import UnknownDataset
from stages.contract.schema import ContractError
from stages.params import ParamsError

# `dvc exp run -S` writes params.yaml before any stage runs, and leaves it so where one fails.
WAY_BACK = "To go back to what is committed: git checkout params.yaml && dvc checkout"


def message(error: Exception) -> str:
    """Return what is wrong, with the way back where params.yaml is what is wrong."""
    in_params = isinstance(error, ParamsError | UnknownDataset) and Path("params.yaml").exists()
    return f"{error}\n{WAY_BACK}" if in_params else str(error)


@contextmanager
def one_message() -> Iterator[None]:
    """End the process with exit code 1 where parameters, a contract or its data are wrong."""
    try:
        yield
    except (ParamsError, ContractError) as error:
        sys.exit(f"error: {message(error)}")
