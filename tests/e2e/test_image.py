"""The image, really built and run: it serves what the pipeline made, and holds nothing else."""

from __future__ import annotations

import io
import json
import re
import subprocess
from base64 import b64decode
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from pypdf import PdfReader

from release.image import bento
from service.decision import hashes

from .base_image import is_stand_in
from .built import Built, build, printed, run
from .engine import Engine
from .processes import missing, wait_until
from .registry import Registry

pytestmark = pytest.mark.e2e

INSTALLED = """
import sys
from importlib.metadata import distributions
for each in distributions(path=[path for path in sys.path if path.startswith(sys.prefix)]):
    print(each.name, each.version)
"""
WRITE_PDF = """
from base64 import b64encode
from service.letters.pdf import pdf_of
page = "<html lang='en'><title>Letter</title><p style='font-family: sans-serif'>Zürich Ω"
print(b64encode(pdf_of(page)).decode())
"""
ALTER = """
import shutil
from pathlib import Path
from service.decision.engine import Engine
from service.decision.hashes import WINNER, NotReady
root = Path(shutil.copytree(".", "/tmp/altered"))
(root / WINNER).write_bytes((root / WINNER).read_bytes() + b" ")
try:
    Engine.load(root)
except NotReady as error:
    print(str(error).partition(";")[0])
"""


DECIDE = """
import json
from dataclasses import asdict
from pathlib import Path
from service.decision.engine import Engine
from service.ledger import Ledger, draft
engine, ledger = Engine.load(), Ledger()
ledger.prepare()
ledger.keep_policy(*engine.policy_record)
lines = Path("models/golden.jsonl").read_text().splitlines()
asked = [json.loads(line)["application"] for line in lines]
answers = zip(asked, engine.decide_rows(asked), strict=True)
ledger.append_many([draft("decision", asdict(a) | {"application": one}) for one, a in answers])
ledger.close()
"""


@pytest.fixture(scope="module")
def built(engine: Engine, base_image: str, tmp_path_factory: pytest.TempPathFactory) -> Built:
    return build(engine, base_image, tmp_path_factory.mktemp("image"))


def inside(engine: Engine, built: Built, *words: str) -> str:
    """What a command prints in a container without network, as root."""
    flags = ("--rm", "--network=none", "--user=0")
    return engine.run("run", *flags, built.image, *words)


@pytest.fixture(scope="module")
def facts(built: Built) -> dict[str, Any]:
    """What the image's trial run told."""
    printout: dict[str, Any] = json.loads(printed(built.command("run-check", built.image)))
    return printout


def test_it_answers_every_golden_record_and_loses_no_answer(
    built: Built, facts: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    with capsys.disabled():
        print("\n", {key: facts[key] for key in ("megabytes", "ready_seconds", "memory")})
    records = (built.checkout / "models/golden.jsonl").read_text().splitlines()
    assert facts["golden"] == len(records)
    assert facts["recorded"] == facts["answers"] == 4 * len(records)


def test_it_says_which_commit_and_data_it_was_made_of(built: Built, facts: dict[str, Any]) -> None:
    expected = bento.facts(built.checkout, bento.files(built.checkout))
    assert facts["identity"]["git_commit"] == expected.git_commit
    assert expected.data == facts["identity"]["data"]
    assert re.fullmatch("[0-9a-f]{40}", expected.git_commit)


def test_its_labels_name_commit_data_and_headline_metric(engine: Engine, built: Built) -> None:
    labels = json.loads(engine.run("inspect", built.image))[0]["Config"]["Labels"]
    expected = bento.facts(built.checkout, bento.files(built.checkout))
    assert labels["org.opencontainers.image.revision"] == expected.git_commit
    assert labels["credit-pd.dvc-lock"] == expected.dvc_lock
    assert labels["credit-pd.data"] == expected.data
    assert labels["credit-pd.model"] == expected.model
    assert labels["credit-pd.winner"] == expected.winner
    assert float(labels["credit-pd.roc-auc"]) == expected.headline


def test_it_writes_a_pdf_as_its_own_user_without_network_or_disk(
    engine: Engine, built: Built
) -> None:
    flags = ("--rm", "--network=none", "--read-only", "--tmpfs=/tmp", "--cap-drop=ALL")
    printed = engine.run("run", *flags, built.image, "python", "-c", WRITE_PDF)
    page = PdfReader(io.BytesIO(b64decode(printed.strip()))).pages[0]
    assert page.extract_text().strip() == "Zürich Ω"
    fonts: Any = page["/Resources"]["/Font"]  # type: ignore[index]
    assert ["DejaVu" in font.get_object()["/BaseFont"] for font in fonts.values()] == [True]


def test_a_challenger_scores_in_shadow_and_is_compared_with_the_champion(
    engine: Engine, built: Built, tmp_path: Path
) -> None:
    folder = tmp_path / "challenger"
    printed(run(built.checkout, {}, "-m", "service.shadow", "pack", ".", str(folder)))
    subprocess.run(["chmod", "-R", "a+rX", str(tmp_path)], check=True)
    flags = ("--rm", "--network=none", "--read-only", "--tmpfs=/tmp", "--cap-drop=ALL")
    settings = ("DATABASE_URL=sqlite:////tmp/ledger.sqlite", "CREDIT_PD_CHALLENGER=/challenger")
    words = (f"--env={setting}" for setting in settings)
    steps = (
        'python -c "$0" && python -m service.shadow score && python -m service.shadow report --json'
    )
    told = engine.run(
        *("run", *flags, *words, f"--volume={folder}:/challenger:ro", built.image),
        *("sh", "-c", steps, DECIDE),
    )
    first, _, report = told.partition("\n")
    records = len((built.checkout / "models/golden.jsonl").read_text().splitlines())
    assert first == f"{records} decisions scored"
    [content] = json.loads(report)
    assert (content["rows"], content["waiting"], content["refused"]) == (records, 0, {})
    assert content["agreement"]["value"] == 1


def test_the_image_has_less_than_520_megabytes(engine: Engine, built: Built) -> None:
    assert json.loads(engine.run("inspect", built.image))[0]["Size"] < 520e6


def test_it_holds_the_locked_packages_and_no_others(engine: Engine, built: Built) -> None:
    packages = inside(engine, built, "python", "-c", INSTALLED).splitlines()
    lock = (built.checkout / "requirements/service.txt").read_text()
    lines = re.findall(r"^[\w.-]+(?:\[.+\])?==[^\\\n]+", lock, re.MULTILINE)
    needed = [r for r in map(Requirement, lines) if r.marker is None or r.marker.evaluate()]
    locked = (f"{r.name} {r.specifier}".replace("==", "") for r in needed)
    plain = {re.sub("[-_.]+", "-", line).lower() for line in packages}
    assert plain == {re.sub("[-_.]+", "-", line).lower() for line in locked}


def test_it_holds_the_files_that_serving_needs_and_no_others(engine: Engine, built: Built) -> None:
    words = ("find", ".", "-type", "f", "-not", "-name", "*.pyc")
    shipped = {str(Path(name)) for name in inside(engine, built, *words).splitlines()}
    added = {"bentofile.yaml", str(hashes.MANIFEST)}
    assert shipped == {str(path) for path in bento.files(built.checkout)} | added


def test_it_refuses_an_altered_model_in_one_line(engine: Engine, built: Built) -> None:
    output = inside(engine, built, "python", "-c", ALTER)
    assert output.strip() == "models/winner.json is not the file that models/manifest.json states"


def test_the_index_that_packages_came_from_is_nowhere_in_it(engine: Engine, built: Built) -> None:
    address = built.index.split("/")[2]
    search = f"grep -rlF {address} /app /home /etc /root /tmp /usr /var; true"
    listed = inside(engine, built, "sh", "-c", search)
    about = engine.run("inspect", built.image) + engine.run("history", "--no-trunc", built.image)
    assert listed == ""
    assert address not in about
    assert "UV_" not in about


def test_its_user_cannot_change_its_code(engine: Engine, built: Built) -> None:
    words = ("find", "/app", "/home", "-user", "1034", "-o", "-perm", "/022", "-not", "-type", "l")
    assert inside(engine, built, *words) == ""


def test_it_gets_healthy_without_any_network(engine: Engine, built: Built) -> None:
    if not engine.command[0].endswith("docker"):
        missing("docker (podman's health checks need systemd)")
    flags = ("--read-only", "--tmpfs=/tmp", "--cap-drop=ALL", "--network=none")
    volume = ("--tmpfs=/ledger:uid=1034,mode=700", "--health-interval=1s")
    name = engine.run("run", "--detach", *flags, *volume, built.image)
    state = ("inspect", "--format", "{{.State.Health.Status}}", name)
    try:
        wait_until(lambda: engine.run(*state) == "healthy", 120, "the container's health")
    finally:
        engine.run("rm", "--force", name)


def test_another_pd_than_the_recorded_one_is_noticed(built: Built, tmp_path: Path) -> None:
    first, *others = (built.checkout / "models/golden.jsonl").read_text().splitlines()
    record = json.loads(first)
    record["default_probability"] *= 1 + 2**-52
    (tmp_path / "golden.jsonl").write_text("\n".join([json.dumps(record), *others]))
    done = built.command("run-check", built.image, "--golden", str(tmp_path / "golden.jsonl"))
    assert done.returncode == 1
    assert f"a golden record must get the PD {record['default_probability']!r}" in done.stderr


def test_a_label_that_names_another_commit_is_noticed(
    engine: Engine, built: Built, tmp_path: Path
) -> None:
    label = "org.opencontainers.image.revision=0123"
    (tmp_path / "Dockerfile").write_text(f"FROM {built.image}\nLABEL {label}\n")
    engine.run("build", "--quiet", "--tag", "mislabelled", str(tmp_path))
    done = built.command("run-check", "mislabelled")
    assert (done.returncode, "mislabelled is labelled 0123" in done.stderr) == (1, True)


def test_an_image_on_a_stand_in_base_is_not_published(
    engine: Engine, built: Built, registry: Registry
) -> None:
    if not is_stand_in(engine, built.image):
        pytest.skip("the base is the real one")
    done = built.command("publish", built.image, f"{registry.address}/credit-pd")
    assert done.returncode == 1
    assert "stands on a stand-in base" in done.stderr


def test_an_image_is_published_by_digest(
    engine: Engine, built: Built, registry: Registry, tmp_path: Path
) -> None:
    commit = "a" * 40
    label = f"org.opencontainers.image.revision={commit}"
    (tmp_path / "Dockerfile").write_text(f"FROM scratch\nLABEL {label}\nCOPY Dockerfile /\n")
    engine.run("build", "--quiet", "--tag", "publishable", str(tmp_path))
    done = built.command("publish", "publishable", f"{registry.address}/published")
    assert done.returncode == 0, done.stderr
    number = engine.run("inspect", "--format", "{{.Id}}", "publishable").removeprefix("sha256:")
    digest = registry.digest("published", f"{commit}-{number[:12]}")
    assert done.stdout.strip() == f"{registry.address}/published@{digest}"
