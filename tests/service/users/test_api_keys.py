"""API keys: they are kept hashed, expire, can be revoked, and a wrong file says which line."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest

from service.users import api_keys
from service.users.__main__ import main
from service.users.api_keys import KeyRing, new_key, parse_line, read_file, write_file
from service.users.callers import ROLES, NotAdmitted

LATER = datetime.now(UTC).date() + timedelta(365)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys"


def add(
    path: Path, capsys: pytest.CaptureFixture[str], name: str = "desk", roles: str = "decide"
) -> str:
    main(["--file", str(path), "add", name, "--roles", roles, "--expires", str(LATER)])
    return capsys.readouterr().out.strip()


def test_a_key_is_printed_once_and_kept_as_its_hash(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key = add(path, capsys, roles="decide,read")
    assert len(key) == len("cpd_") + 43  # 256 bits in base64url
    assert key not in path.read_text()
    assert path.stat().st_mode & 0o007 == 0
    caller = KeyRing(path=path).find(key.encode())
    assert (caller.name, caller.type, caller.roles) == ("desk", "service", {"decide", "read"})
    main(["--file", str(path), "list"])
    assert key not in capsys.readouterr().out


def test_an_expired_key_is_refused_by_its_name(path: Path) -> None:
    key, kept = new_key("desk", ["decide"], datetime.now(UTC).date())
    write_file(path, [kept])
    with pytest.raises(NotAdmitted, match="of desk expired on") as error:
        KeyRing(path=path).find(key.encode())
    assert error.value.reason == "expired_key"


def test_a_revoked_key_is_refused_by_a_service_that_runs(
    path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api_keys, "RELOAD_PERIOD", 0.0)
    first, second = add(path, capsys), add(path, capsys, "batch")
    ring = KeyRing(path=path)
    main(["--file", str(path), "revoke", "desk"])
    with pytest.raises(NotAdmitted, match="not valid"):
        ring.find(first.encode())
    assert ring.find(second.encode()).name == "batch"
    third = add(path, capsys)
    assert ring.find(third.encode()).name == "desk"


def test_one_of_two_keys_of_a_name_is_revoked_by_its_digest(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = add(path, capsys), add(path, capsys)
    main(["--file", str(path), "revoke", read_file(path)[0].digest.hex()[:12]])
    ring = KeyRing(path=path)
    assert ring.find(second.encode())
    with pytest.raises(NotAdmitted):
        ring.find(first.encode())


def test_a_file_that_becomes_wrong_changes_nothing(
    path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api_keys, "RELOAD_PERIOD", 0.0)
    key = add(path, capsys)
    ring = KeyRing(path=path)
    path.write_text("desk")
    assert ring.find(key.encode()).name == "desk"
    path.unlink()
    assert ring.find(key.encode()).name == "desk"
    assert "line 1: must have 4 parts" in capsys.readouterr().err


def test_a_digest_of_the_environment_may_do_everything_under_a_name_of_its_own() -> None:
    digest = sha256(b"old key").digest()
    caller = KeyRing([digest]).find(b"old key")
    assert (caller.name, caller.roles) == (f"key-{digest.hex()[:8]}", ROLES.keys())


@pytest.mark.parametrize("key", [b"", b"cpd_", b"\xff\x00", b"desk", b"0" * 64])
def test_what_is_no_key_is_refused(
    path: Path, capsys: pytest.CaptureFixture[str], key: bytes
) -> None:
    add(path, capsys)
    with pytest.raises(NotAdmitted) as error:
        KeyRing(path=path).find(key)
    assert error.value.reason == "invalid_key"


def test_the_stored_hash_is_no_key(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add(path, capsys)
    kept = read_file(path)[0].digest
    for stolen in (kept, kept.hex().encode()):
        with pytest.raises(NotAdmitted):
            KeyRing(path=path).find(stolen)


DIGEST = "ab" * 32


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("desk", "must have 4 parts (name, roles, expires, SHA-256); got 1"),
        (f"a/b decide {LATER} {DIGEST}", "name must be 1 to 64 letters, digits or ._@-; got"),
        (f"<b> decide {LATER} {DIGEST}", "name must be"),
        (
            f"desk root {LATER} {DIGEST}",
            f"roles must be one or more of {', '.join(ROLES)}; got",
        ),
        (f"desk decide 2027-13-01 {DIGEST}", "expires must be a date YYYY-MM-DD; got '2027-13-01'"),
        (f"desk decide never {DIGEST}", "expires must be a date YYYY-MM-DD; got 'never'"),
        (f"desk decide {LATER} secret", "SHA-256 must be 64 hexadecimal digits; got 6"),
    ],
)
def test_a_wrong_line_is_named_without_its_digest(path: Path, line: str, problem: str) -> None:
    path.write_text(f"# comment\n\n{line}\n")
    with pytest.raises(ValueError, match="line 3: ") as error:
        read_file(path)
    assert problem in str(error.value)
    assert "secret" not in str(error.value)


def test_a_line_is_read_as_it_is_written() -> None:
    _, kept = new_key("desk", ["read", "decide"], date(2030, 1, 2))
    assert parse_line(str(kept)) == kept


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["add", "d", "--roles", "root", "--expires", str(LATER)], "roles must be"),
        (["add", "d", "--roles", "read", "--expires", "2020-01-01"], "must be after today"),
        (["add", "d", "--roles", "read", "--expires", "soon"], "must be a date"),
        (["add", "d d", "--roles", "read", "--expires", str(LATER)], "name must be"),
        (["list"], "No such file"),
        (["revoke", "nobody"], "No such file"),
    ],
)
def test_a_mistake_at_the_command_ends_with_one_message(
    path: Path, arguments: list[str], message: str
) -> None:
    with pytest.raises(SystemExit, match=message) as error:
        main(["--file", str(path), *arguments])
    assert str(error.value).startswith("users: ")
    assert not path.exists()


def test_without_a_file_the_command_says_how_to_name_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CREDIT_PD_USERS", raising=False)
    with pytest.raises(SystemExit, match="CREDIT_PD_USERS"):
        main(["list"])
