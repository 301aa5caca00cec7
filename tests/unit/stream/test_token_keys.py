"""The keyring file of a process: who may read it, and that a change is taken up and a broken one is not."""

from __future__ import annotations

import time
from base64 import b64encode
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from pushcast.model.errors import ConfigurationError
from pushcast.stream.token_keys import LOOK_SECONDS, KeyringFile, read_keys
from pushcast.wire.sealing.keyring import HASH_KEY, Key, Keyring, KeyringRole, KeyState, encode_keyring, wrap

OUTER, NONCE = bytes(range(32)), bytes(12)


def ring(folder: Path, *ids: str) -> bytes:
    keys = tuple(
        Key(name, KeyState.OPEN if number else KeyState.SEAL, wrap(bytes([number]) * 32, OUTER, name, NONCE), "")
        for number, name in enumerate(ids)
    )
    return encode_keyring(Keyring(f"file:{folder / 'kek'}", 1, wrap(bytes(32), OUTER, HASH_KEY, NONCE), keys))


def write(file: Path, value: bytes, mode: int = 0o600) -> None:
    file.write_bytes(value)
    file.chmod(mode)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    write(tmp_path / "kek", b64encode(OUTER) + b"\n")
    write(tmp_path / "keyring.json", ring(tmp_path, "t1"))
    return tmp_path / "keyring.json"


def test_a_change_is_taken_up_within_five_seconds(file: Path) -> None:
    now = [0.0]
    held = KeyringFile(file, KeyringRole.REGISTRAR, lambda: now[0])
    write(file, ring(file.parent, "t2", "t1"))
    assert held.keys().sealing == "t1"
    now[0] = LOOK_SECONDS
    assert (held.keys().sealing, held.keys().ids) == ("t2", {"t1", "t2"})


@pytest.mark.parametrize("broken", [b"{", b"", None])
def test_a_file_that_breaks_leaves_the_keys_and_is_told_once(file: Path, broken: bytes | None) -> None:
    now = [0.0]
    held = KeyringFile(file, KeyringRole.SENDER, lambda: now[0])
    if broken is None:
        file.unlink()
    else:
        write(file, broken)
    with capture_logs() as logs:
        for _ in range(3):
            now[0] += LOOK_SECONDS
            assert held.keys().ids == {"t1"}
    assert [entry["event"] for entry in logs] == ["keyring_not_read"]


@pytest.mark.parametrize("name", ["keyring.json", "kek"])
def test_a_file_that_others_might_use_is_read_again_once_its_mode_is_put_right(file: Path, name: str) -> None:
    now = [0.0]
    held = KeyringFile(file, KeyringRole.REGISTRAR, lambda: now[0])
    write(file, ring(file.parent, "t2", "t1"))
    (file.parent / name).chmod(0o644)
    now[0] += LOOK_SECONDS
    with capture_logs() as logs:
        assert held.keys().sealing == "t1"
        time.sleep(0.02)  # a kernel's time of files moves in steps
        (file.parent / name).chmod(0o600)
        now[0] += LOOK_SECONDS
        assert held.keys().sealing == "t2"
    assert [entry["event"] for entry in logs] == ["keyring_not_read", "keyring_read"]


def test_a_keyring_is_read_again_once_its_outer_key_is_put_right(file: Path) -> None:
    now = [0.0]
    held = KeyringFile(file, KeyringRole.REGISTRAR, lambda: now[0])
    write(file.parent / "kek", b"?")
    write(file, ring(file.parent, "t2", "t1"))
    now[0] += LOOK_SECONDS
    assert held.keys().sealing == "t1"
    time.sleep(0.02)  # a kernel's time of files moves in steps
    write(file.parent / "kek", b64encode(OUTER))
    now[0] += LOOK_SECONDS
    assert held.keys().sealing == "t2"


@pytest.mark.parametrize("name", ["keyring.json", "kek"])
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_a_file_that_others_may_use_is_refused(file: Path, name: str, mode: int) -> None:
    (file.parent / name).chmod(mode)
    with pytest.raises(ConfigurationError, match=f"{name}.*chmod 600"):
        read_keys(file, KeyringRole.SENDER)


@pytest.mark.parametrize(
    ("outer", "words"),
    [(b"?", "not base64"), (b64encode(b"short"), "5 bytes"), (b64encode(bytes(32)), "does not open")],
)
def test_an_outer_key_that_cannot_be_is_refused(file: Path, outer: bytes, words: str) -> None:
    write(file.parent / "kek", outer)
    with pytest.raises(ConfigurationError, match=words):
        read_keys(file, KeyringRole.SENDER)


@pytest.mark.parametrize("name", ["keyring.json", "kek"])
def test_a_file_that_is_not_there_is_named(file: Path, name: str) -> None:
    (file.parent / name).unlink()
    with pytest.raises(ConfigurationError, match=f"cannot read .*{name}"):
        read_keys(file, KeyringRole.SENDER)
