"""The sections of params.yaml, and what each of their parameters may be."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field as Key
from pydantic import model_validator

from stages.contract.schema import Mode
from stages.models import registry
from stages.models.parameters import (
    CandidateParameters,
    Section,
    Seed,
    Share,
    Whole,
)
from stages.params.commands import ExpectedLoss, Fairness, Monitor
from stages.params.errors import ParamsError
from stages.policy.decisions import Policy


class Simulate(Section):
    """The simulated loan book."""

    rows: Whole
    """Number of loans."""
    seed: Seed
    """Seed of the draws."""
    separation: Annotated[float, Key(ge=0.25, le=1)]
    """How far good and bad loans lie apart: the true PD has an AUC of 0.84 at 0.45, 0.96 at 1."""


class Preprocess(Section):
    """How rows are split, and how many may be invalid."""

    seed: Seed
    """Seed of the stratified split; a contract with a date is split by time."""
    test_share: Annotated[float, Key(gt=0, lt=1)]
    """Share of the loans in the test part: the latest, where there are dates."""
    validation_share: Annotated[float, Key(gt=0, lt=1)]
    """Share of the loans in the validation part, before the test part in time."""
    max_invalid: Share
    """The stage stops where a larger share of the rows breaks the contract."""

    @model_validator(mode="after")
    def _something_to_train_on(self) -> Preprocess:
        if self.test_share + self.validation_share >= 1:
            raise ValueError("test_share and validation_share leave no training rows")
        return self


class Featurize(Section):
    """How features are binned and clipped."""

    bins: Annotated[int, Key(ge=2)]
    """Number of bins for the information value of each feature."""
    clip: Annotated[float, Key(ge=0, lt=0.5)]
    """Share of each tail beyond which linear models see no difference."""


class Found(Section):
    """What a search found: the parameters by candidate that differ from those in `train`."""

    model_config = Section.model_config | {"extra": "allow"}
    __pydantic_extra__: dict[str, dict[str, int | float]]
    blend: list[str] = Key(default_factory=list)
    """Candidates whose margins are blended into one more."""

    def candidates(self) -> dict[str, dict[str, int | float]]:
        """Return the parameters of each candidate by its name."""
        return dict(self.__pydantic_extra__)


class Search(Section):
    """The search of the boosters' parameters, for a book that nobody has searched."""

    trials: Annotated[int, Key(ge=0)]
    """Number of trials of each candidate that can stop early; 0 searches nothing."""
    folds: Annotated[int, Key(ge=2)]
    """Number of folds of the training rows that judge a trial."""
    blend: list[str]
    """Candidates whose margins are blended into one more, for a book that is not in `found`."""
    found: dict[str, Found]
    """Books that were searched, by the names of their datasets: they are not searched again."""


class Train(Section):
    """What all candidates share; the section of each candidate stands beside it, by its name."""

    # `load` adds a field for each of those sections, which the candidate's own file checks.
    seed: Seed
    """Seed of the folds, of resampling and of what each candidate draws."""
    folds: Annotated[int, Key(ge=2)]
    """Number of folds of the training rows, for calibration and for the choice of the winner."""


class Evaluate(Section):
    """How candidates are judged."""

    choose_by: Literal["roc_auc", "pr_auc", "brier", "log_loss", "ks"]
    """Figure, cross-validated, that chooses the winner."""
    origins: Annotated[int, Key(ge=0)] = 0
    """Days from which candidates are judged on the loans after them, fitted and calibrated on their
    past alone; the winner is chosen by these. 0 chooses by `train.folds`, in which a PD is
    calibrated on later folds too. Needs a contract with a `date`."""
    choose_over: Literal["mean", "worst"] = "mean"
    """Whether the mean of the origins (or folds) counts, or the worst of the origins."""
    prefer: Literal["best", "simplest"]
    """`best`, or `simplest`: the first of `candidates` within a standard error of the best."""
    seed: Seed
    """Seed of the bootstrap."""
    resamples: Annotated[int, Key(ge=100)]
    """Number of bootstrap samples behind each 95 % interval."""
    min_group: Whole
    """Groups of fewer loans are not judged."""
    golden: Whole
    """Number of applications recorded with their PD, which a deployment must repeat."""

    @model_validator(mode="after")
    def _origins_to_choose_by(self) -> Evaluate:
        if self.origins == 1:
            raise ValueError("origins must be 0 or at least 2: the last is the validation part")
        if self.choose_over == "worst" and not self.origins:
            raise ValueError("choose_over: worst needs origins of 2 or more")
        if self.choose_over == "worst" and self.prefer == "simplest":
            raise ValueError(
                "prefer: simplest needs choose_over: mean, because the worst has no standard error"
            )
        return self


class Refit(Section):
    """The rows that the winner is fitted on again, with the same parameters, to ship it."""

    rows: Literal["none", "recent", "all"] = "none"
    """`none` ships the model that was judged. `all`: all rows, the test rows too; `recent`: the
    latest, as many as the judged model was trained on. Figures stay those of the judged model."""
    anchor: Literal["none", "recent"] | Annotated[float, Key(gt=0, lt=1)] = "none"
    """Bad rate to which the mean PD of the last year is moved: its own (`recent`), or a number."""
    min_rank_correlation: Annotated[float, Key(ge=0.9, lt=1)] = 0.95
    """The run ends where the PDs of both models on test rows correlate less in their ranks."""
    max_mean_change: Annotated[float, Key(gt=0, le=0.5)] = 0.25
    """... or where their mean PDs, before an anchor, differ by more than this share."""

    @model_validator(mode="after")
    def _something_to_anchor(self) -> Refit:
        if self.rows == "none" and self.anchor != "none":
            raise ValueError("anchor needs rows: recent or all; got rows: none")
        return self


class Params(Section):
    """All of params.yaml."""

    dataset: str
    """Folder of `data/` with a `contract.yaml` and the files."""
    mode: Mode
    """What is known when the decision is made: the application, or its grade and price too."""
    threads: Whole
    """Number of threads; results do not depend on it."""
    compute: Literal["local", "dask"]
    """Where the stages compute: `local`, or `dask` on the cluster of `DASK_SCHEDULER_ADDRESS`."""
    candidates: Annotated[list[str], Key(min_length=1)]
    """Candidates to train and judge, the simplest first."""
    simulate: Simulate
    """The simulated loan book."""
    preprocess: Preprocess
    """How rows are split, and how many may be invalid."""
    featurize: Featurize
    """How features are binned and clipped."""
    search: Search
    """The search of the boosters' parameters, for a book that nobody has searched."""
    train: Train
    """What candidates share, and a section for each."""
    evaluate: Evaluate
    """How candidates are judged."""
    refit: Refit = Key(default_factory=Refit)
    """The rows that the winner is fitted on again, with the same parameters, to ship it."""
    policy: Policy
    """From PD to decision, score and rating; a change trains nothing."""
    expected_loss: ExpectedLoss = Key(default_factory=ExpectedLoss)
    """Loss given default and exposure at default of replays; no stage reads it."""
    fairness: Fairness = Key(default_factory=Fairness)
    """What a less discriminatory model may cost; no stage reads it."""
    monitor: Monitor
    """How live decisions are watched; no stage reads it."""

    @property
    def data(self) -> Path:
        """The folder of the chosen dataset."""
        return Path("data") / self.dataset

    @property
    def blend(self) -> list[str]:
        """The listed candidates whose margins are blended into one more: none, or at least two."""
        found = self.search.found.get(self.dataset)
        stated = self.search.blend if found is None else found.blend
        listed = [name for name in stated if name in self.candidates]
        return listed if len(listed) > 1 else []

    def candidate(self, name: str) -> CandidateParameters:
        """Return the checked section of a candidate; raises ParamsError where there is none."""
        try:
            section: CandidateParameters | None = getattr(
                self.train, registry.check_name(name), None
            )
        except registry.CandidateError as error:
            raise ParamsError(str(error)) from None
        if section is None:
            raise ParamsError(f"params.yaml: train.{name}: a section is required")
        return section
