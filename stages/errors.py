"""End a stage on a user's mistake with one message instead of a traceback."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stages.compute.engine import NoCluster
from stages.contract.reading import UnknownDataset
from stages.contract.schema import ContractError
from stages.params import ParamsError

# `dvc exp run -S` writes params.yaml before any stage runs, and leaves it so where one fails.
UNDO = "git checkout params.yaml dvc.lock models/search && dvc checkout"
WAY_BACK = f"Where `dvc exp run -S` wrote it, this goes back to what is committed: {UNDO}"


def message(error: Exception) -> str:
    """Return what is wrong, with the way back where params.yaml is what is wrong."""
    place = "params.yaml: " if isinstance(error, UnknownDataset) else ""
    in_params = isinstance(error, ParamsError | UnknownDataset) and Path("params.yaml").exists()
    return f"{place}{error}" + (f"\n{WAY_BACK}" if in_params else "")


@contextmanager
def one_message() -> Iterator[None]:
    """End the process with code 1 where parameters, a contract, its data or a cluster are wrong.

    A stage that is run by hand before those that make its files ends in the same way.
    """
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:  # whoever reads the output, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except (ParamsError, ContractError, NoCluster) as error:
        sys.exit(f"error: {message(error)}")
    except FileNotFoundError as error:
        sys.exit(
            f"error: {error.filename or error} is missing: run `dvc repro` to make it, or "
            "`dvc checkout` to restore the one that is committed"
        )
