from __future__ import annotations

import ast
import errno
import socket
import subprocess
import sys
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, cast

import pytest

from release.deploy import host
from release.deploy.host import DeploymentRefused, bluegreen, probe, proxy
from release.deploy.host.deploy import main
from release.deploy.host.files import Busy, DeploymentState, Release
from release.deploy.host.proxy import Counters, Proxy
from release.deploy.host.settings import HostSettings

FOLDER = Path(host.__file__).parent
DIGEST = f"sha256:{'a' * 64}"


@pytest.fixture
def settings_file(tmp_path: Path) -> Path:
    text = (FOLDER / "host.env").read_text()
    path = tmp_path / "host.env"
    path.write_text(text.replace("REPOSITORY=", "REPOSITORY=registry/credit-pd"))
    return path


def release(image: str, colour: str = "blue") -> Release:
    return Release(colour, image, {"image": image}, "2025-01-01T00:00:00Z")


def test_the_committed_settings_are_complete(settings_file: Path) -> None:
    assert HostSettings.read(settings_file).watch_seconds == 60


def test_the_committed_settings_need_a_repository() -> None:
    with pytest.raises(DeploymentRefused, match="CREDIT_PD_REPOSITORY needs a value"):
        HostSettings.read(FOLDER / "host.env")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("CREDIT_PD_PIDS=256\n", "", "CREDIT_PD_PIDS is missing"),
        ("CREDIT_PD_PIDS", "CREDIT_PD_PIDZ=1\nCREDIT_PD_PIDS", "CREDIT_PD_PIDZ is unknown"),
        ("CREDIT_PD_PIDS=256", "CREDIT_PD_PIDS=many", "PIDS must be int; got 'many'"),
    ],
)
def test_a_wrong_setting_is_named(settings_file: Path, old: str, new: str, words: str) -> None:
    settings_file.write_text(settings_file.read_text().replace(old, new))
    with pytest.raises(DeploymentRefused, match=words):
        HostSettings.read(settings_file)


def test_a_host_with_an_older_file_of_settings_goes_on(settings_file: Path) -> None:
    lines = settings_file.read_text().splitlines()
    settings_file.write_text("\n".join(each for each in lines if "RELEASE_KEY" not in each))
    assert HostSettings.read(settings_file).release_key == Path("/etc/credit-pd/release.pub")


@pytest.mark.parametrize("image", [DIGEST, f"registry/credit-pd@{DIGEST}"])
def test_a_digest_of_the_hosts_repository_is_accepted(settings_file: Path, image: str) -> None:
    assert HostSettings.read(settings_file).reference(image) == f"registry/credit-pd@{DIGEST}"


@pytest.mark.parametrize(
    "image", ["registry/credit-pd:1", f"{DIGEST}0", f"other@{DIGEST}", f"@{DIGEST}\n", "--help"]
)
def test_any_other_image_is_refused(settings_file: Path, image: str) -> None:
    with pytest.raises(DeploymentRefused, match="image"):
        HostSettings.read(settings_file).reference(image)


def test_wrong_settings_end_with_status_2(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["--settings", str(tmp_path / "none"), "--status"]) == 2
    assert "cannot read the settings" in capsys.readouterr().err


def test_the_live_release_becomes_previous(tmp_path: Path) -> None:
    state = DeploymentState(tmp_path)
    state.promote(release("first"))
    state.promote(release("second", "green"))
    assert state.releases() == {"live": release("second", "green"), "previous": release("first")}


def test_deploying_an_image_again_keeps_the_previous_one(tmp_path: Path) -> None:
    state = DeploymentState(tmp_path)
    for image in ("first", "second", "second"):
        state.promote(release(image))
    assert state.releases()["previous"] == release("first")


class FakeProxy(threading.Thread):
    """The runtime socket of HAProxy with its map, which the disk of the host cannot hold."""

    def __init__(self, path: Path) -> None:
        super().__init__(daemon=True)
        self.held = {"live": "green"}
        self.server = socket.socket(socket.AF_UNIX)
        self.server.bind(str(path))
        self.server.listen()

    def run(self) -> None:
        while True:
            connection, _ = self.server.accept()
            words = connection.recv(4096).decode().split()
            connection.sendall(self.answer(*words).encode())
            connection.close()

    def answer(self, verb: str, _map: str, _path: str, key: str = "", value: str = "") -> str:
        if verb == "show":
            return "".join(f"0x1 {name} {held}\n" for name, held in self.held.items())
        if verb == "set" and key not in self.held:
            return "entry not found.\n"
        self.held[key] = value
        return "\n"


@pytest.fixture
def full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Proxy, FakeProxy]:
    """A proxy of a host whose disk is full."""

    def refuse(path: Path, _text: str) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(proxy, "replace_text", refuse)
    fake = FakeProxy(tmp_path / "socket")
    fake.start()
    return Proxy(tmp_path / "socket", tmp_path / "live.map"), fake


def test_going_back_works_on_a_full_disk(
    full: tuple[Proxy, FakeProxy], capsys: pytest.CaptureFixture[str]
) -> None:
    full[0].switch("blue", durable=False)
    assert full[1].held == {"live": "blue", "share": "0", "canary": "blue"}
    assert "No space left on device" in capsys.readouterr().err


class Stopped:
    """Containers that note what was in flight when one was stopped."""

    def __init__(self, waiting: list[int]) -> None:
        self.waiting, self.removed = waiting, list[tuple[str, list[int]]]()

    def remove(self, colour: str) -> None:
        self.removed.append((colour, [*self.waiting]))


def test_a_host_goes_back_on_a_full_disk_and_stops_the_new_colour_after_its_last_request(
    full: tuple[Proxy, FakeProxy], settings_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = bluegreen.Host(replace(HostSettings.read(settings_file), state=settings_file.parent))
    in_flight = [2, 1, 0]
    stopped = Stopped(in_flight)
    host.proxy, host.containers = full[0], cast(Any, stopped)
    monkeypatch.setattr(Proxy, "in_flight", lambda _, colour: in_flight.pop(0))
    monkeypatch.setattr(bluegreen, "POLL_SECONDS", 0)
    host.go_back("blue", "green")
    assert full[1].held == {"live": "blue", "share": "0", "canary": "blue"}
    assert stopped.removed == [("green", [])]


def test_nothing_is_switched_forward_on_a_full_disk(full: tuple[Proxy, FakeProxy]) -> None:
    with pytest.raises(OSError, match="No space left"):
        full[0].switch("blue")
    with pytest.raises(OSError, match="No space left"):
        full[0].share("blue", 5)
    assert full[1].held == {"live": "green"}


def test_whoever_has_read_the_share_of_a_canary_finds_a_colour_after_the_switch(
    tmp_path: Path,
) -> None:
    fake = FakeProxy(tmp_path / "socket")
    fake.start()
    haproxy = Proxy(tmp_path / "socket", tmp_path / "live.map")
    haproxy.share("blue", 20)
    assert fake.held == {"live": "green", "share": "20", "canary": "blue"}
    haproxy.switch("green")
    assert fake.held == {"live": "green", "share": "0", "canary": "green"}
    assert not haproxy.has_canary()


def test_a_history_that_cannot_be_written_does_not_hide_what_happened(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "history.jsonl").mkdir()
    DeploymentState(tmp_path).note("image", "rolled back")
    assert "the history could not be written" in capsys.readouterr().err


def test_the_lock_admits_one_deployment(tmp_path: Path) -> None:
    state = DeploymentState(tmp_path)
    with state.lock(), pytest.raises(Busy), state.lock():
        pass
    with state.lock():
        pass


def test_counters_of_a_restarted_proxy_count_from_zero() -> None:
    assert Counters(12, 3).since(Counters(10, 1)) == Counters(2, 2)
    assert Counters(4, 1).since(Counters(10, 1)) == Counters(4, 1)


@pytest.mark.parametrize(
    "golden", [{}, {"records": 0, "identical": True}, {"records": 5, "identical": False}]
)
def test_golden_records_hold_only_when_some_were_checked_and_all_agree(golden: object) -> None:
    assert probe.golden_fault({"golden": golden})
    assert not probe.golden_fault({"golden": {"records": 5, "identical": True}})


def test_a_service_that_does_not_state_its_model_is_refused() -> None:
    class Speechless(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Speechless)
    thread = threading.Thread(target=server.handle_request)
    thread.start()
    with pytest.raises(DeploymentRefused, match="must tell identity and golden; got 200"):
        probe.model_info(f"127.0.0.1:{server.server_port}")
    thread.join()
    server.server_close()


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.py")), ids=lambda path: path.name)
def test_the_host_needs_no_newer_python_than_3_9_and_no_packages(path: Path) -> None:
    tree = ast.parse(path.read_text(), feature_version=(3, 9))
    modules = [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    modules += [
        name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names
    ]
    used = {str(module).partition(".")[0] for module in modules}
    assert used <= sys.stdlib_module_names | {"release"}


def test_the_installer_does_not_restart_an_unchanged_proxy(tmp_path: Path) -> None:
    def installed() -> str:
        command = [FOLDER / "install.sh", "registry", tmp_path]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    host = tmp_path / "opt/credit-pd/release/deploy/host"
    unit = tmp_path / "etc/systemd/system/haproxy.service.d/credit-pd.conf"
    assert installed() == "proxy: restart\n"
    assert installed() == "proxy: keep\n"
    (host / "haproxy.cfg").write_text("of an older version")
    assert installed() == "proxy: reload\n"
    unit.write_text("of an older version")
    assert installed() == "proxy: restart\n"


def test_the_key_of_the_host_is_created_once_and_readable_by_root_alone(tmp_path: Path) -> None:
    state = DeploymentState(tmp_path / "state")
    assert (
        state.key()
        == DeploymentState(tmp_path / "state").key()
        != DeploymentState(tmp_path / "other").key()
    )
    assert (tmp_path / "state/probe.key").stat().st_mode & 0o777 == 0o600


def test_the_installer_keeps_what_an_operator_changed(tmp_path: Path) -> None:
    settings = tmp_path / "etc/credit-pd/host.env"
    for _ in range(2):
        subprocess.run([FOLDER / "install.sh", "registry", tmp_path], check=True)
        settings.write_text(settings.read_text().replace("SECONDS=60", "SECONDS=90"))
    assert HostSettings.read(settings).watch_seconds == 90
