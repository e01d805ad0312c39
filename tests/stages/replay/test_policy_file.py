"""The policy to replay: read upon the present one, with messages that name what is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from stages.replay import policy_file
from stages.replay.policy_file import ReplayError
from tests.stages.replay.test_comparison import policy


def test_a_file_and_changes_stand_upon_the_present_policy(tmp_path: Path) -> None:
    file = tmp_path / "proposed.yaml"
    file.write_text("margin: 0.1\nrefer_band: 0.4\n")
    read = policy_file.read(policy(), file, ["policy.refer_band=0.1"])
    assert (read.margin, read.refer_band, read.pdo) == (0.1, 0.1, policy().pdo)


def test_a_whole_params_file_is_read_by_its_section(tmp_path: Path) -> None:
    file = tmp_path / "params.yaml"
    file.write_text("dataset: other\npolicy: {cut_off: 0.2}\n")
    assert policy_file.read(policy(), file).pd_cut_off == 0.2


def test_a_mistake_of_an_option_is_not_looked_for_in_the_file(tmp_path: Path) -> None:
    file = tmp_path / "proposed.yaml"
    file.write_text("cut_off: 0.2")
    with pytest.raises(ReplayError, match=r"^-S: refer_bnd: unknown parameter"):
        policy_file.read(policy(), file, ["refer_bnd=0.3"])


def test_an_unknown_key_within_an_optional_section_is_named() -> None:
    change = "override_limit={fild: loan_amount, above: 5}"
    with pytest.raises(
        ReplayError, match=r"override_limit\.fild: unknown .* known are field, above"
    ):
        policy_file.read(policy(), changes=[change])


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    file = tmp_path / "proposed.yaml"
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(ReplayError, match=r"proposed\.yaml must be a text in UTF-8; it is"):
        policy_file.read(policy(), file)


@pytest.mark.parametrize(
    ("text", "change", "message"),
    [
        ("", "refer_band", "-S takes key=value, such as refer_band=0.3; got 'refer_band'"),
        ("", "refer=0.3", "-S: refer: unknown parameter; known are margin,"),
        ("", "polcy.margin=0.3", "-S: polcy.margin: unknown parameter; known are margin,"),
        ("margin: -1", "", "margin: Input should be greater than 0; got -1"),
        ("- 1", "", "must be a mapping with a section `policy`"),
        ("a: [", "", "not YAML"),
    ],
)
def test_a_mistake_is_named(text: str, change: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / "proposed.yaml"
    file.write_text(text or "{}")
    with pytest.raises(ReplayError) as problem:
        policy_file.read(policy(), file if text else None, [change] if change else [])
    assert message in str(problem.value)
