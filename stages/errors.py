"""Ends a stage on a user's mistake with one message instead of a traceback."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from stages.contract.schema import ContractError
from stages.params import ParamsError


@contextmanager
def one_message() -> Iterator[None]:
    """End the process with exit code 1 where parameters, a contract or its data are wrong."""
    try:
        yield
    except ParamsError as error:
        sys.exit(f"error: {error} (`git checkout params.yaml` brings the committed file back)")
    except ContractError as error:
        sys.exit(f"error: {error}")
