"""A candidate's one self-sufficient artifact: raw application in, probability of default out.

In the pipeline it is a joblib file; `model_file` writes the one that ships.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from stages import files
from stages.contract import reading as contracts
from stages.contract.schema import Contract, Mode
from stages.features.encoding import Columns
from stages.features.matrix import Features, Floats
from stages.models.calibration import Calibrator
from stages.models.scorers import Scorer

PACKAGES = {"xgboost": "xgboost-cpu"}


@dataclass(eq=False)
class Model:
    """A fitted, calibrated candidate with the contract it was trained under.

    Attributes
    ----------
    candidate, dataset, mode : which model, of which loan book, knowing what.
    contract_text : the contract.yaml it was trained under.
    trained_on : `rows`, `bad_rate`, `from` and `to` (ISO dates, None without dates), `balance`, and
        `overstates_pd`: whether the rows were resampled and no calibration followed.
    versions : the libraries that score, as they were in training.
    """

    candidate: str
    dataset: str
    mode: Mode
    contract_text: str
    scorer: Scorer
    calibrator: Calibrator
    trained_on: dict[str, Any]
    versions: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # Pickle stores an object once, however often it occurs: intern, for the same bytes.
        self.candidate = sys.intern(self.candidate)
        self.versions = self.versions or installed_versions(self.scorer.libraries)
        self._prepare()

    def _prepare(self) -> None:
        self.contract: Contract = contracts.read(self.contract_text, f"{self.dataset} contract")
        self.features = Features(self.contract, self.mode)

    def __getstate__(self) -> dict[str, Any]:
        made = ("contract", "features")
        return {name: value for name, value in vars(self).items() if name not in made}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._prepare()

    def predict(self, columns: Columns) -> Floats:
        """Raw columns of n values each → PD (n,) float64; ContractError for a value not allowed."""
        return self.predict_matrix(self.features(columns))

    def predict_one(self, application: Mapping[str, Any]) -> float:
        """Return the PD of one raw application; a field that is absent is missing."""
        names = [*(f.name for f in self.features.stated), *self.features.histories]
        columns = {name: (application.get(name),) for name in names}
        return float(self.predict(columns)[0])

    def predict_matrix(self, x: Floats) -> Floats:
        """Return the PDs (n,) of features (n, F)."""
        return self.calibrator(self.scorer.margin(x))


def installed_versions(libraries: tuple[str, ...]) -> dict[str, str]:
    """Return the installed versions of the libraries that score."""
    return {name: version(PACKAGES.get(name, name)) for name in libraries}


def save(model: Model, path: Path) -> None:
    """Write the artifact, a joblib file."""
    import joblib  # noqa: PLC0415  (what ships neither writes nor reads such files)

    with files.whole_file(path) as temporary:
        joblib.dump(model, temporary)


def load(path: Path) -> Model:
    """Read an artifact of the pipeline; raises TypeError where the file holds something else.

    A joblib file can execute any code: load only files whose origin you know.
    """
    import joblib  # noqa: PLC0415

    try:
        model = joblib.load(path)
    except FileNotFoundError:
        raise
    # A damaged pickle can raise anything that the code it stumbles into raises.
    except Exception as error:
        said = f"{type(error).__name__}: {str(error)[:200]}"
        raise TypeError(f"{path} is not an artifact of this pipeline ({said})") from error
    if not isinstance(model, Model):
        raise TypeError(
            f"{path} must hold a stages.models.artifact.Model; got {type(model).__name__}"
        )
    return model
