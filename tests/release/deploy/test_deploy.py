from __future__ import annotations

import importlib
import json
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from release.deploy import __main__ as deploy
from release.deploy.host import deploy as host_deploy
from release.deploy.host.files import DeploymentState
from tests.e2e.processes import missing
from tests.support import templates
from tests.support.fakes.ssm_fake import REPOSITORY, SSM, Host

FIRST, SECOND = (f"sha256:{letter * 64}" for letter in "ab")
COMMIT = "c" * 40
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    monkeypatch.setattr(deploy, "POLL_SECONDS", 0.02)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Host:
    return Host.install("i-one", tmp_path_factory.mktemp("hosts") / "installed")


@pytest.fixture
def ssm(
    installed: Host, tmp_path: Path, environment: None, monkeypatch: pytest.MonkeyPatch
) -> Iterator[SSM]:
    """A serving host, and one that is none of ours."""
    other = Host("i-other", tmp_path / "other", {"credit-pd": "building"})
    fake = SSM([installed.copy("i-one", tmp_path / "one"), other])
    with fake.running() as address:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SSM", address)
        yield fake


@pytest.fixture
def two(ssm: SSM, tmp_path: Path) -> SSM:
    """Two serving hosts."""
    ssm.hosts.append(ssm.hosts[0].copy("i-two", tmp_path / "two"))
    return ssm


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command line; returns exit status, output and messages."""

    def command(*words: str) -> tuple[int, str, str]:
        status = deploy.main([*words])
        return status, *capsys.readouterr()

    return command


def live(host: Host) -> str:
    known = host.state / "state.json"
    return json.loads(known.read_text())["live"]["image"] if known.exists() else ""


def test_an_image_becomes_live_on_every_serving_host_and_no_other(two: SSM, run: Run) -> None:
    status, output, _ = run("--image", FIRST, "--git-commit", COMMIT)
    assert status == 0
    assert f"live: blue {REPOSITORY}@{FIRST}" in output
    assert [live(host) for host in two.hosts] == [
        f"{REPOSITORY}@{FIRST}",
        "",
        f"{REPOSITORY}@{FIRST}",
    ]


def test_a_deployment_does_not_ask_for_an_older_image(ssm: SSM, run: Run) -> None:
    run("--image", FIRST)
    assert (ssm.hosts[0].state / "older").read_text() == "False"


def test_an_image_goes_only_where_that_is_live_which_it_was_judged_against(
    two: SSM, run: Run
) -> None:
    run("--image", FIRST)
    status, _, errors = run("--image", SECOND, "--replaces", f"sha256:{'d' * 64}")
    assert status == 1
    assert f"by now {FIRST} is live on i-one: run all jobs of this release again" in errors
    assert [live(host) for host in two.hosts if host.tags["credit-pd"] == "serving"] == [
        f"{REPOSITORY}@{FIRST}"
    ] * 2
    assert run("--image", SECOND, "--replaces", FIRST)[0] == 0
    assert run("--image", SECOND, "--replaces", FIRST)[0] == 0  # once more, after half of it failed


def test_the_host_checks_the_commit_of_the_image(ssm: SSM, run: Run) -> None:
    run("--image", FIRST, "--git-commit", COMMIT)
    known = json.loads((ssm.hosts[0].state / "state.json").read_text())
    assert known["live"]["identity"]["git_commit"] == COMMIT


def test_a_rollback_deploys_the_previous_digest(ssm: SSM, run: Run, tmp_path: Path) -> None:
    run("--image", FIRST, "--git-commit", COMMIT)
    run("--image", SECOND)
    status, _, _ = run("--rollback", "--output", str(tmp_path / "facts"))
    assert status == 0
    assert live(ssm.hosts[0]) == f"{REPOSITORY}@{FIRST}"
    named = {"Release": [FIRST], "GitCommit": [COMMIT], "Older": ["allow"]}
    assert ssm.sent[-2]["Parameters"] == named
    assert (ssm.hosts[0].state / "older").read_text() == "True"
    assert (tmp_path / "facts").read_text() == f"image={FIRST}\n"


def test_a_rollback_of_hosts_that_differ_is_refused(two: SSM, run: Run) -> None:
    (two.hosts[2].state / "fault").write_text("not ready after 180 s")
    run("--image", FIRST)
    status, _, words = run("--rollback")
    assert status == 1
    assert "the hosts differ in what is live; choose one with --image DIGEST" in words


def test_without_a_previous_release_there_is_no_rollback(ssm: SSM, run: Run) -> None:
    run("--image", FIRST)
    assert run("--rollback")[2] == "failed: there is no previous release to go back to\n"


def test_the_first_host_that_refuses_stops_the_rest(two: SSM, run: Run) -> None:
    (two.hosts[0].state / "fault").write_text("the golden records do not score identically")
    status, _, words = run("--image", SECOND)
    assert status == 1
    assert "2 hosts were meant, 1 are done" in words
    assert "refused: " in words
    assert "the golden records do not score identically" in words
    assert live(two.hosts[2]) == ""


def test_a_host_that_is_busy_is_a_failure(ssm: SSM, run: Run) -> None:
    with DeploymentState(ssm.hosts[0].state).lock():
        status, _, words = run("--image", FIRST)
    assert status == 1
    assert "another deployment is running on this host" in words


def test_a_host_that_cannot_be_reached_is_a_failure(ssm: SSM, run: Run) -> None:
    ssm.hosts[0].reachable = False
    status, _, words = run("--image", FIRST)
    assert status == 1
    assert "DeliveryTimedOut" in words


def test_no_host_at_all_is_a_failure(ssm: SSM, run: Run) -> None:
    ssm.hosts.clear()
    status, _, words = run("--image", FIRST)
    assert status == 1
    assert "NoInstancesInTag, 0 hosts were meant" in words


def test_a_script_that_takes_too_long_is_a_failure(ssm: SSM, run: Run) -> None:
    ssm.seconds = 0.01
    status, _, words = run("--image", FIRST)
    assert status == 1
    assert "ExecutionTimedOut" in words


def test_a_timeout_names_the_command(ssm: SSM, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    slow, asked = ("Success", "", ""), threading.Event()
    monkeypatch.setattr(ssm.hosts[0], "run", lambda *_: asked.wait(60) and slow)
    status, _, words = run("--image", FIRST, "--wait", "0.1")
    asked.set()
    assert status == 1
    assert f"the command {next(iter(ssm.commands))} is InProgress after 0 s" in words


def test_a_host_that_serves_another_image_is_a_failure(ssm: SSM, run: Run) -> None:
    (ssm.hosts[0].state / "serves").write_text(f"{REPOSITORY}@{SECOND}")
    status, _, words = run("--image", FIRST)
    assert status == 1
    assert f"i-one must serve {FIRST}; it serves {REPOSITORY}@{SECOND}" in words


def test_verification_prints_the_image_of_every_host(two: SSM, run: Run) -> None:
    for host in (two.hosts[0], two.hosts[2]):
        (host.state / "serves").write_text(f"{REPOSITORY}@{FIRST}")
    lines = [f"{name}: serves {REPOSITORY}@{FIRST}" for name in ("i-one", "i-two")]
    assert run("--verify", FIRST) == (0, "\n".join([*lines, ""]), "")
    assert run("--verify", SECOND)[0] == 1


def test_the_status_is_that_of_each_host(ssm: SSM, run: Run) -> None:
    known = json.loads(run("--status")[1])
    assert known == {"i-one": {"live": None, "previous": None, "served": "nothing"}}


def test_the_output_of_a_deployment_is_kept(ssm: SSM, run: Run) -> None:
    run("--status")
    logs = {each["LogGroupName"] for _, each in templates.resources("AWS::Logs::LogGroup")}
    kept = ssm.sent[0]["CloudWatchOutputConfig"]
    assert kept["CloudWatchOutputEnabled"]
    assert kept["CloudWatchLogGroupName"] in logs


@pytest.mark.parametrize("image", ["credit-pd:latest", "sha256:abc", f"{FIRST}\n", "--status", ""])
def test_only_digests_are_deployed(run: Run, image: str) -> None:
    with pytest.raises(SystemExit, match="2"):
        run(f"--image={image}")


@pytest.mark.parametrize(
    "words", ["latest", FIRST + "0", f"{FIRST}; reboot", f"{FIRST}\n'; reboot; '", "--rollback", ""]
)
def test_the_document_admits_digests_and_status_alone(ssm: SSM, run: Run, words: str) -> None:
    with pytest.raises(Exception, match="InvalidParameters"):
        deploy.Fleet().run(words)
    assert ssm.sent == []


@pytest.mark.parametrize("release", [FIRST, "--status"])
def test_the_host_accepts_the_command_of_the_document(release: str) -> None:
    given = host_deploy.parse_arguments([release, "--git-commit", ""])
    assert (given.image, given.status) == (
        (None, True) if release == "--status" else (release, False)
    )


@pytest.mark.usefixtures("environment")
def test_missing_credentials_are_named(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    status, _, words = run("--image", FIRST)
    assert status == 1
    assert "Unable to locate credentials" in words


@pytest.mark.e2e
@pytest.mark.usefixtures("environment")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_success_without_the_live_digest_is_a_failure(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Moto says Success to everything, prints nothing, and cannot list invocations."""
    boto3, moto = (module(name) for name in ("boto3", "moto"))
    with moto.mock_aws():
        document = templates.only("AWS::SSM::Document")
        boto3.client("ssm").create_document(
            Name=document["Name"],
            Content=json.dumps(document["Content"]),
            DocumentType=document["DocumentType"],
        )
        host = serving_host(boto3.client("ec2"))
        monkeypatch.setattr(deploy.Fleet, "reached_hosts", lambda *_: [host])
        status, _, words = run("--image", FIRST)
    assert (status, words) == (1, f"failed: {host} does not say that {FIRST} is live there\n")


def module(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        missing(f"the package {name}")


def serving_host(ec2: Any) -> str:
    tags = [{"Key": "credit-pd", "Value": "serving"}]
    instances = ec2.run_instances(
        ImageId=ec2.describe_images()["Images"][0]["ImageId"],
        MinCount=1,
        MaxCount=1,
        TagSpecifications=[{"ResourceType": "instance", "Tags": tags}],
    )
    return str(instances["Instances"][0]["InstanceId"])
