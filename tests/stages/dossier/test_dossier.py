"""The dossier: every figure names its source, and one that says something else is refused."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from html import unescape
from pathlib import Path

import pytest
import yaml

from stages.dossier import check, duties, lineage
from stages.dossier.page import TEMPLATES
from stages.dossier.sources import DossierError
from tests.support.books import ROOT, Project

EVALUATION = "models/evaluation.json"
# Numbers of the prose that are no figures: a level of confidence, and the names of hashes.
CONSTANTS = re.compile(r"95 %|SHA-256|MD5|Working Paper 14")


@pytest.fixture(scope="module")
def written(fitted_book: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A judged book with its dossier; not to be changed."""
    folder = tmp_path_factory.mktemp("dossier")
    shutil.copytree(fitted_book.folder, folder, dirs_exist_ok=True)
    for name in ("models/gate.yaml", "models/approvals.yaml", "models/acknowledgements.yaml"):
        shutil.copy(ROOT / name, folder / name)
    copy_duties(folder)
    return Project(folder).run("evaluate", "dossier")


@pytest.fixture
def project(written: Project, tmp_path: Path) -> Project:
    """A copy of it."""
    shutil.copytree(written.folder, tmp_path, dirs_exist_ok=True)
    return Project(tmp_path)


def copy_duties(folder: Path) -> None:
    """Put the duties in place, with evidence that is there."""
    target = folder / duties.DUTIES
    target.parent.mkdir(parents=True)
    listed = yaml.safe_load((ROOT / duties.DUTIES).read_text())
    for duty in listed:
        duty["evidence"] = ["tests/test_one.py::test_it"] if duty["evidence"] else []
    target.write_text(yaml.safe_dump(listed))
    (folder / "tests").mkdir()
    (folder / "tests" / "test_one.py").write_text("def test_it() -> None:\n    pass\n")


def page_of(project: Project) -> str:
    return (project.folder / check.PAGE).read_text()


def test_a_new_dossier_says_what_its_files_say(written: Project) -> None:
    assert check.faults(written.folder) == []


def test_the_dossier_has_every_section(written: Project) -> None:
    titles = re.findall(r"<h2>(.*?)</h2>", page_of(written))
    assert len(titles) == 17
    assert titles[-1] == "Notes"


def test_a_backtest_and_a_refit_are_told_with_their_figures(project: Project) -> None:
    names = ["logistic", "scorecard"]
    project.set(
        candidates=names, evaluate__origins=3, evaluate__choose_over="worst", refit__rows="all"
    ).run(*names, "evaluate", "dossier")
    page = page_of(project)
    assert check.faults(project.folder) == []
    report = json.loads((project.folder / EVALUATION).read_text())
    days = [facts["from"] for facts in report["backtest"]["origins"].values()]
    assert f"Backtest of {report['winner']} over origins" in page
    assert all(page.count(f">{day}<") >= 2 for day in days)
    assert "Folds: each is judged" not in page
    assert "The same model fitted again" in page
    for keys in (
        ("backtest", "candidates", "scorecard", "2", "roc_auc", "low"),
        ("backtest", "candidates", report["winner"], "0", "calibration_level", "value"),
        ("stability", report["winner"], "1", "high"),
        ("shipped", "agreement", "rank_correlation"),
        ("shipped", "rows"),
    ):
        assert json.dumps(keys) in unescape(page)


def test_the_same_files_give_the_same_bytes(project: Project) -> None:
    before = page_of(project)
    assert page_of(project.run("dossier")) == before


def test_a_changed_number_is_named(project: Project) -> None:
    path = project.folder / EVALUATION
    report = json.loads(path.read_text())
    value = report["test"]["roc_auc"]["value"]
    report["test"]["roc_auc"]["value"] = 0.99
    path.write_text(json.dumps(report))
    faults = check.faults(project.folder)
    assert f"{EVALUATION} has changed since the dossier was made" in faults
    assert f"{EVALUATION}: test / roc_auc / value is 0.99, and is shown as {value}" in faults


def test_a_number_changed_on_the_page_is_named(project: Project) -> None:
    path = project.folder / check.PAGE
    page = path.read_text()
    figure = check.FIGURE.search(page.partition("roc_auc")[0])
    assert figure
    path.write_text(page.replace(figure[0], figure[0].replace(figure[1], "&#34;other&#34;")))
    assert check.faults(project.folder)


def test_a_figure_that_is_not_stated_any_more_is_named(project: Project) -> None:
    path = project.folder / EVALUATION
    report = json.loads(path.read_text())
    del report["cut_offs"]
    path.write_text(json.dumps(report))
    assert [fault for fault in check.faults(project.folder) if "not stated any more" in fault]


@pytest.mark.parametrize("name", ["raw/loans.csv", "quality.json", "features/fitted.json"])
def test_data_that_changed_are_named(project: Project, name: str) -> None:
    path = project.data / name
    path.write_bytes(path.read_bytes() + b" ")
    place = f"data/small/{name.partition('/')[0]}"
    assert f"{place} has changed since the dossier was made" in check.faults(project.folder)


def test_a_cited_test_that_was_deleted_is_named(project: Project) -> None:
    (project.folder / "tests" / "test_one.py").write_text("")
    assert check.faults(project.folder) == [
        f"{duties.DUTIES} cites tests/test_one.py::test_it, which is not there"
    ]


def test_without_a_dossier_the_check_says_how_to_make_it(project: Project) -> None:
    (project.folder / check.PAGE).unlink()
    with pytest.raises(DossierError, match="dvc repro dossier"):
        check.faults(project.folder)


def test_every_duty_of_the_repository_cites_what_is_there() -> None:
    assert duties.absent_evidence(duties.load(ROOT / duties.DUTIES), ROOT) == []


def test_a_duty_that_is_met_must_name_its_evidence(tmp_path: Path) -> None:
    listed = yaml.safe_load((ROOT / duties.DUTIES).read_text())
    listed[0] |= {"status": "met", "evidence": []}
    (tmp_path / "duties.yaml").write_text(yaml.safe_dump(listed))
    with pytest.raises(DossierError, match="must name its evidence"):
        duties.load(tmp_path / "duties.yaml")


@pytest.mark.parametrize("template", sorted(TEMPLATES.glob("*.html")), ids=lambda path: path.name)
def test_no_number_is_typed_into_a_template(template: Path) -> None:
    text = re.sub(r"{{.*?}}|{%.*?%}|<[^>]*>", " ", template.read_text(), flags=re.DOTALL)
    assert re.findall(r"\d+", CONSTANTS.sub("", text)) == []


def test_every_number_of_the_figures_sections_is_a_figure(written: Project) -> None:
    page = page_of(written).partition("<main>")[2].partition('<section id="duties">')[0]
    for name in ("use", "leakage"):  # what people wrote, and the names of features
        page = re.sub(rf'<section id="{name}">.*?</section>', "", page, flags=re.DOTALL)
    text = re.sub(r"<data .*?</data>|<a class=\"note\".*?</a>", " ", page, flags=re.DOTALL)
    text = CONSTANTS.sub("", unescape(re.sub(r"<[^>]*>", " ", text)))
    labels = (
        r"\d{4}-Q\d|maximum \(\d+\)|minimum \(\d+\)|2 \* amount|\b(?:10|20|30)\b|more than 0\.01"
    )
    assert re.findall(r"\d+", re.sub(labels, "", text)) == []


def test_each_note_names_a_file_and_a_key(written: Project) -> None:
    page = page_of(written)
    notes = dict(re.findall(r'<li id="note-(\d+)"><span class="file">(.*?)</span>', page))
    cited = set(re.findall(r'href="#note-(\d+)"', page))
    assert cited == set(notes)
    assert [name for name in notes.values() if not (written.folder / name).exists()] == []


def test_an_approval_counts_for_its_model_alone(project: Project) -> None:
    figures = json.loads((project.folder / check.CALCULATED).read_text())
    signed = {"who": "Grace Hopper", "date": "2026-11-22", "decision": "approved"}
    approvals = [
        {"role": "validator", "model": figures["winner_sha256"], **signed},
        {"role": "compliance", "model": 64 * "0", **signed},
    ]
    (project.folder / "models" / "approvals.yaml").write_text(
        yaml.safe_dump({"approvals": approvals})
    )
    page = page_of(project.run("dossier"))
    assert "<tr><th>validator</th><td>Grace Hopper</td>" in page
    assert '<tr><th>compliance</th><td colspan="4" class="absent">Nobody has signed.' in page
    assert "Approvals of other models" in page


def test_an_approval_with_a_mistake_is_named(project: Project) -> None:
    path = project.folder / "models" / "approvals.yaml"
    path.write_text(yaml.safe_dump({"approvals": [{"role": "boss"}]}))
    with pytest.raises(DossierError, match=r"approvals\.0\.role"):
        project.run("dossier")


def test_sections_without_input_say_so(project: Project) -> None:
    for name in ("models/gate.yaml", "models/approvals.yaml", "models/acknowledgements.yaml"):
        (project.folder / name).unlink()
    page = page_of(project.run("dossier"))
    assert page.count("Not stated") >= 3
    assert "says nothing about the use of a model of small" in page
    assert check.faults(project.folder) == []


def test_the_hashes_are_those_of_dvc(tmp_path: Path) -> None:
    for name in ("raw/b/loans.csv", "raw/a.csv", "raw/b.csv"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"content of {name}")
    for command in (("init", "--no-scm", "--quiet"), ("add", "--quiet", "raw")):
        subprocess.run([sys.executable, "-m", "dvc", *command], cwd=tmp_path, check=True)
    stated = yaml.safe_load((tmp_path / "raw.dvc").read_text())["outs"][0]["md5"]
    assert lineage.hash_of(tmp_path / "raw") == stated
