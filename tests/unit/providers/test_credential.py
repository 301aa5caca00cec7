from __future__ import annotations

import time
from pathlib import Path

import pytest

from pushcast.providers.credential import WatchedFile


def test_a_file_that_could_not_be_read_is_read_again_once_its_permissions_are_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "key.p8"
    file.write_bytes(b"key")
    file.chmod(0o000)
    watched = WatchedFile(file)
    with monkeypatch.context() as patched:
        patched.setattr(Path, "read_bytes", _refused)  # who runs tests as root may read everything
        with pytest.raises(PermissionError):
            watched.read()
    assert not watched.changed(10.0)
    time.sleep(0.02)  # a kernel's time of files moves in steps
    file.chmod(0o600)
    assert watched.changed(20.0)
    assert watched.read() == b"key"
    assert not watched.changed(30.0)


def _refused(path: Path) -> bytes:
    raise PermissionError(f"{path} is not yours")
