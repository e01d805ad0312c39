"""Parameters: what is unknown or cannot be is named, with what is allowed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from stages import params
from stages.models import registry
from stages.params import ParamsError
from tests.support.books import ROOT, settings


def load(folder: Path, **changes: Any) -> params.Params:
    path = folder / "params.yaml"
    path.write_text(yaml.safe_dump(settings(**changes)))
    return params.load(path)


def test_the_parameters_of_the_repository_are_well() -> None:
    config = params.load(ROOT / "params.yaml")
    assert (ROOT / config.data / "contract.yaml").exists()
    assert set(config.candidates) <= set(registry.names())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tests": 1}, "tests: unknown parameter; known are dataset, mode, threads, "),
        ({"train__lightgbm__tress": 9}, "train.lightgbm.tress: unknown parameter; known are bal"),
        ({"policy__bonus": 1}, "policy.bonus: unknown parameter; known are margin, loss_given"),
        (
            {"policy__rules": [{"rule": "a > 1", "decision": "refer", "reason": "x", "why": 1}]},
            "policy.rules.0.why: unknown parameter; known are rule, decision, reason",
        ),
        (
            {"train__catboost": {}},
            "train.catboost: unknown parameter; known are seed, folds, gla",
        ),
        ({"train__xgboost__trees": 0}, "train.xgboost.trees: Input should be greater than or equ"),
        ({"train__xgboost__trees": "many"}, "train.xgboost.trees: Input should be a valid integer"),
        ({"mode": "guess"}, "mode: Input should be 'application' or 'pricing'; got 'guess'"),
        ({"candidates": []}, "candidates: List should have at least 1 item"),
        (
            {"candidates": ["lightgmb"]},
            "candidates.0: there is no candidate 'lightgmb' in stages/models/candidates, "
            f"which has {', '.join(registry.names())}; did you mean lightgbm?",
        ),
        ({"train__logistic__balance": "adasyn"}, "train.logistic.balance: Input should be 'none'"),
        ({"preprocess__max_invalid": 1.5}, "preprocess.max_invalid: Input should be less than 1"),
        (
            {"preprocess__test_share": 0.95},
            "preprocess: test_share and validation_share leave no training rows",
        ),
        (
            {"policy__ratings": {"A": 0.5}},
            "policy: the PDs in `ratings` must rise, and end at 1.0; got",
        ),
        (
            {"policy__cut_off": 2},
            "policy.cut_off: Input should be 'profit', or: Input should be less than or equal to 1"
            "; got 2",
        ),
        ({"train__xgboost__max_vif": 0.5}, "train.xgboost.max_vif: Input should be greater than "),
        ({"evaluate__choose_by": "auc"}, "evaluate.choose_by: Input should be 'roc_auc', "),
    ],
)
def test_a_wrong_parameter_is_named_with_what_is_allowed(
    changes: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(ParamsError, match=re.escape(f"params.yaml: {message}")):
        load(tmp_path, **changes)


def test_every_wrong_parameter_is_named_at_once(tmp_path: Path) -> None:
    with pytest.raises(ParamsError) as caught:
        load(tmp_path, mode="guess", train__folds=1, threads=0)
    assert [line.split(": ")[1] for line in str(caught.value).split("\n")] == [
        "mode",
        "threads",
        "train.folds",
    ]


def test_a_missing_parameter_is_named(tmp_path: Path) -> None:
    config = settings()
    del config["train"]["lightgbm"]["trees"]
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(config))
    with pytest.raises(ParamsError, match=r"train\.lightgbm\.trees: Field required$"):
        params.load(tmp_path / "params.yaml")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", " must be a mapping of sections; got None"),
        ("- a\n", r" must be a mapping of sections; got \['a'\]"),
        ("a: [1\n", "2: not YAML: "),
    ],
)
def test_a_file_that_holds_no_parameters_is_refused(
    text: str, message: str, tmp_path: Path
) -> None:
    (tmp_path / "params.yaml").write_text(text)
    with pytest.raises(ParamsError, match=rf"params\.yaml:{message}"):
        params.load(tmp_path / "params.yaml")


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_bytes(b"\xff\xfe")
    with pytest.raises(ParamsError, match=r"params\.yaml must be a text in UTF-8; it is in UTF-16"):
        params.load(tmp_path / "params.yaml")
    with pytest.raises(ParamsError, match=r"Is a directory"):
        params.load(tmp_path)


def test_an_unknown_key_that_is_no_word_is_named(tmp_path: Path) -> None:
    config = settings()
    config["train"]["lightgbm"]["num-leaves"] = 7
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(config))
    unknown = r"train\.lightgbm\.num-leaves: unknown parameter; known are .*did you mean num_leaves"
    with pytest.raises(ParamsError, match=unknown):
        params.load(tmp_path / "params.yaml")


def test_a_section_that_contradicts_itself_is_not_printed_whole(tmp_path: Path) -> None:
    config = settings()
    config["policy"]["ratings"] = {"A": 0.2, "B": 0.1}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(config))
    with pytest.raises(ParamsError, match=r"got \{'A': 0\.2, 'B': 0\.1\}$"):
        params.load(tmp_path / "params.yaml")


def test_a_key_that_stands_twice_is_refused(tmp_path: Path) -> None:
    text, count = re.subn(r"( +num_leaves: )\d+\n", r"\g<0>\g<1>7\n", yaml.safe_dump(settings()))
    assert count == 1
    (tmp_path / "params.yaml").write_text(text)
    with pytest.raises(ParamsError, match=r"train\.lightgbm\.num_leaves: duplicate key, again in "):
        params.load(tmp_path / "params.yaml")


def test_an_unknown_candidate_is_named_with_those_that_are_known() -> None:
    with pytest.raises(ParamsError, match=r"no candidate 'light' .* has .*; did you mean lightgbm"):
        params.load(ROOT / "params.yaml").candidate("light")


@pytest.mark.parametrize("name", registry.names())
def test_a_candidate_has_its_section(name: str) -> None:
    config = params.load(ROOT / "params.yaml")
    assert config.candidate(name) is getattr(config.train, name)


def test_a_candidate_that_is_listed_needs_its_section(tmp_path: Path) -> None:
    config = settings()
    del config["train"]["xgboost"]
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(config))
    with pytest.raises(ParamsError, match=r"params\.yaml: train\.xgboost: Field required$"):
        params.load(tmp_path / "params.yaml")


def test_who_only_scores_needs_no_candidate_file(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(settings(train__catboost={"trees": 1}, candidates=["catboost"])))
    assert params.load(path, with_candidates=False).candidates == ["catboost"]


def test_parameters_cannot_be_changed_once_read() -> None:
    with pytest.raises(ValueError, match="frozen"):
        params.load(ROOT / "params.yaml").threads = 3


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"mode": "aplication"}, "application"),
        ({"evaluate__chose_by": "ks"}, "choose_by"),
        ({"evaluate__choose_by": "auc"}, "roc_auc or pr_auc"),
    ],
)
def test_the_nearest_right_word_is_reported(
    changes: dict[str, str], word: str, tmp_path: Path
) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(settings(**changes)))
    with pytest.raises(ParamsError, match=f"did you mean {word}\\?"):
        params.load(path)
