"""Name what a joblib file would import, without importing or executing any of it.

Whoever loads such a file runs what it names. Arrays are read, since they stand between the rest.
"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from joblib.numpy_pickle import NumpyArrayWrapper, NumpyUnpickler

ARRAYS = {
    ("numpy", "dtype"): np.dtype,
    ("numpy", "ndarray"): np.ndarray,
}
DAMAGED = (pickle.UnpicklingError, ValueError, EOFError, TypeError, AttributeError, LookupError)


class Inert:
    """Stand for whatever a file would import, whatever it is called with."""

    def __new__(cls, *_: object, **__: object) -> Inert:
        """Take any arguments."""
        return super().__new__(cls)

    def __setstate__(self, state: object) -> None:
        """Take any state."""


class PlainArray(NumpyArrayWrapper):  # type: ignore[misc]
    """An array of numbers; one of objects would be unpickled by other means than ours."""

    def read(self, unpickler: Any, ensure_native_byte_order: bool) -> Any:
        """Read the array; ValueError where it holds objects."""
        if self.dtype.hasobject:
            raise ValueError("an array of objects")
        return super().read(unpickler, ensure_native_byte_order)


class Reader(NumpyUnpickler):  # type: ignore[misc]
    """Read a joblib file and note each name that it would import."""

    def __init__(self, path: Path, file: BinaryIO) -> None:
        super().__init__(str(path), file, ensure_native_byte_order=True)
        self.names: list[str] = []

    def find_class(self, module: str, name: str) -> Any:
        """Note the name, and give what stands for it."""
        if (module, name) == ("joblib.numpy_pickle", "NumpyArrayWrapper"):
            return PlainArray
        if (module, name) in ARRAYS:
            return ARRAYS[module, name]
        self.names.append(f"{module}.{name}")
        return Inert


def list_names(path: Path) -> list[str]:
    """Return the names that a joblib file imports, in its order; ValueError where it is none."""
    with path.open("rb") as file:
        reader = Reader(path, file)
        try:
            reader.load()
        except DAMAGED as error:
            raise ValueError(f"{path} is no joblib file: {error}") from error
        if file.read(1):
            raise ValueError(f"{path} goes on after its end")
    return reader.names
