"""Turn prepared rows into numeric matrices, and fit statistics of features on training rows."""

from __future__ import annotations

from pathlib import Path

from tqdm import tqdm

from stages import errors, files, params, project
from stages.compute import engine as compute
from stages.contract import reading as contracts
from stages.features import split
from stages.features.matrix import Features
from stages.features.matrix_files import StoredMatrix
from stages.features.statistics import Fitted


def path_of(config: params.Params, name: str) -> Path:
    """Return the file of the prepared rows of a split."""
    return config.data / "prepared" / f"{name}.parquet"


def main() -> None:
    """Write `features/<split>.npz` and `features/fitted.json`."""
    config = params.load()
    contract = contracts.load(config.dataset)
    features = Features(contract, config.mode)
    with (
        compute.start(config.compute, config.threads, config.data) as engine,
        files.whole_folder(config.data / "features") as folder,
    ):
        held = [n for n in (*split.SPLITS, split.LEFT_OUT) if path_of(config, n).exists()]
        for name in tqdm(held, desc="featurize", unit=" parts", disable=None):
            matrix = StoredMatrix.make(engine, features, path_of(config, name))
            if name == "train":
                bins, clip = config.featurize.bins, config.featurize.clip
                fitted = Fitted.fit_columns(features, matrix, bins=bins, clip=clip, run=engine.run)
                files.write_text(folder / "fitted.json", fitted.to_json())
            matrix.save(folder / f"{name}.npz")
            tqdm.write(f"featurize {name}: {len(matrix.bad):,} rows, {matrix.width} features")


if __name__ == "__main__":
    project.enter()
    with errors.one_message():
        main()
