"""Turn prepared rows into numeric matrices, and fit statistics of features on training rows."""

from __future__ import annotations

import numpy as np
from tqdm import tqdm

from stages import errors, files, params, project
from stages.contract import prepared
from stages.contract import reading as contracts
from stages.features import split
from stages.features.matrix import Features
from stages.features.statistics import Fitted


def main() -> None:
    """Write `features/{train,validation,test}.npz` and `features/fitted.json`."""
    config = params.load()
    contract = contracts.load(config.dataset)
    features = Features(contract, config.mode)
    with files.whole_folder(config.data / "features") as folder:
        for name in tqdm(split.SPLITS, desc="featurize", unit=" parts", disable=None):
            rows = prepared.read(config.data / "prepared" / f"{name}.parquet")
            x, bad = features(prepared.columns(rows, features.inputs)), prepared.outcome(rows)
            if name == "train":
                fitted = Fitted.fit(
                    features, x, bad, bins=config.featurize.bins, clip=config.featurize.clip
                )
                files.write_text(folder / "fitted.json", fitted.to_json())
            np.savez(folder / f"{name}.npz", x=x, bad=bad)
            tqdm.write(f"featurize {name}: {len(bad):,} rows, {x.shape[1]} features")


if __name__ == "__main__":
    project.enter()
    with errors.one_message():
        main()
