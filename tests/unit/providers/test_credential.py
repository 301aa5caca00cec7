from __future__ import annotations

import base64
import time
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from pushcast.model.errors import ConfigurationError
from pushcast.providers.apns import credentials as apns
from pushcast.providers.credential import WatchedFile
from pushcast.providers.fcm.credentials import ServiceAccount
from pushcast.providers.webpush import credentials as webpush

_P256, _UNKNOWN = bytes.fromhex("2A8648CE3D030107"), bytes.fromhex("2A8648CE3D030106")


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


def _of_unknown_curve() -> bytes:
    key = ec.generate_private_key(ec.SECP256R1()).private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    told = base64.encodebytes(key.replace(_P256, _UNKNOWN))
    return b"-----BEGIN PRIVATE KEY-----\n" + told + b"-----END PRIVATE KEY-----\n"


def _account(pem: bytes, name: str) -> object:
    fields = {"client_email": "a@b", "private_key_id": "k", "private_key": pem.decode()}
    return ServiceAccount.parse(orjson.dumps(fields), name)


@pytest.mark.parametrize("load", [apns.load_key, webpush.load_key, _account])
def test_a_key_of_a_curve_that_nobody_knows_is_refused_by_its_file_and_ends_no_reload(
    load: Callable[[bytes, str], object],
) -> None:
    with pytest.raises(ConfigurationError, match=r"odd\.pem"):
        load(_of_unknown_curve(), "odd.pem")
