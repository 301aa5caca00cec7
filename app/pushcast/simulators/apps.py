"""The apps a simulator knows: names, what they are called on the platform, and their key files."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

_ID_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"


@dataclass(frozen=True, slots=True)
class AppSpec:
    """One app. `topic` (APNs bundle id) and `project` (FCM) default to names made from `name`."""

    name: str
    topic: str = ""
    project: str = ""

    @property
    def bundle(self) -> str:
        return self.topic or f"com.example.{self.name}"

    @property
    def project_id(self) -> str:
        return self.project or f"{self.name}-project"


def app_specs(apps: int | Sequence[AppSpec | str]) -> list[AppSpec]:
    """A number gives `news`, `shop`, `app-3`, …; a text is a name. Raises ValueError on none or on doubles."""
    if isinstance(apps, int):
        apps = [("news", "shop")[index] if index < 2 else f"app-{index + 1}" for index in range(apps)]
    specs = [AppSpec(app) if isinstance(app, str) else app for app in apps]
    if not specs or len({spec.name for spec in specs}) != len(specs):
        raise ValueError("apps: at least one, each with a name of its own")
    return specs


@dataclass(frozen=True, slots=True)
class ApnsKey:
    """A signing key of a simulated team, and where its file lies."""

    key_file: Path
    key_id: str
    team_id: str
    public_key: ec.EllipticCurvePublicKey


def apns_key(directory: Path, spec: AppSpec, random: Random) -> ApnsKey:
    """The app's ES256 signing key as Apple hands it out (PKCS #8 PEM), kept between starts; ids come from the seed."""
    key_id = "".join(random.choices(_ID_LETTERS, k=10))
    team_id = "".join(random.choices(_ID_LETTERS, k=10))
    path = directory / f"AuthKey_{spec.name}_{key_id}.p8"
    private = _load(path)
    if private is None:
        private = ec.generate_private_key(ec.SECP256R1())
        _write_secret(path, _pem(private))
    assert isinstance(private, ec.EllipticCurvePrivateKey)
    return ApnsKey(path, key_id, team_id, private.public_key())


@dataclass(frozen=True, slots=True)
class ServiceAccount:
    """A service account of a simulated project, and where its file lies."""

    file: Path
    project_id: str
    client_email: str
    key_id: str
    key: rsa.RSAPrivateKey

    @property
    def public_key(self) -> rsa.RSAPublicKey:
        return self.key.public_key()

    def write(self, token_uri: str) -> None:
        """The account's file as Google hands it out, its `token_uri` at the simulator."""
        account: dict[str, Any] = {
            "type": "service_account",
            "project_id": self.project_id,
            "private_key_id": self.key_id,
            "private_key": _pem(self.key).decode(),
            "client_email": self.client_email,
            "client_id": str(int(self.key_id[:16], 16)),
            "auth_uri": "https://accounts.google.com/o/oauth2/auth",
            "token_uri": token_uri,
            "universe_domain": "googleapis.com",
        }
        _write_secret(self.file, json.dumps(account, indent=2).encode())


def service_account(directory: Path, spec: AppSpec, random: Random) -> ServiceAccount:
    """The app's service account; its key is kept between starts, its file is written when the port is known."""
    key_id = f"{random.getrandbits(160):040x}"
    path = directory / f"service-account-{spec.name}.key.pem"
    private = _load(path)
    if private is None:
        private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        _write_secret(path, _pem(private))
    assert isinstance(private, rsa.RSAPrivateKey)
    file = directory / f"service-account-{spec.name}.json"
    return ServiceAccount(file, spec.project_id, f"push@{spec.project_id}.iam.gserviceaccount.com", key_id, private)


def vapid_key(directory: Path, spec: AppSpec) -> tuple[Path, bytes]:
    """(PKCS #8 PEM file, public key as 65 bytes) of the app's VAPID key pair, kept between starts."""
    path = directory / f"vapid-{spec.name}.pem"
    private = _load(path)
    if private is None:
        private = ec.generate_private_key(ec.SECP256R1())
        _write_secret(path, _pem(private))
    assert isinstance(private, ec.EllipticCurvePrivateKey)
    point = private.public_key().public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
    return path, point


def access_token(directory: Path, spec: AppSpec, random: Random) -> tuple[Path, str]:
    """(file, value) of an Expo access token, from the seed."""
    token = "".join(random.choices(_ID_LETTERS, k=40))
    path = directory / f"expo-access-token-{spec.name}"
    _write_secret(path, token.encode())
    return path, token


def _load(path: Path) -> Any:
    return serialization.load_pem_private_key(path.read_bytes(), None) if path.exists() else None


def _pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _write_secret(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_bytes(data)
