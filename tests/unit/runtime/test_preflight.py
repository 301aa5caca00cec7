"""What a start would refuse is found before it, all at once; nothing connects."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pushcast.config.settings import Settings
from pushcast.model.errors import ConfigurationError
from pushcast.runtime.preflight import problems, readable_by_all, require


def settings(tmp_path: Path, **sections: Any) -> Settings:
    return Settings.model_validate({"data_dir": str(tmp_path / "data"), **sections})


def apns(**changes: Any) -> dict[str, Any]:
    return {"key_file": "AuthKey.p8", "key_id": "ABCDE12345", "team_id": "TEAM123456", "topic": "com.news", **changes}


def test_files_and_addresses_of_all_apps_are_named_at_once(tmp_path: Path) -> None:
    apps = {
        "news": {"apns": apns(), "expo": {"endpoint": "http://127.0.0.1:1"}},
        "chat": {"apns": apns(endpoint="https://u:secret@host")},
    }
    security = {"protocol": "SSL", "ca_file": "ca.pem"}
    with pytest.raises(ConfigurationError) as caught:
        require(settings(tmp_path, apps=apps, kafka={"security": security}))
    said = str(caught.value)
    for wanted in ("apps.news.apns", "AuthKey.p8", "apps.news.expo", "not https", "apps.chat.apns", "ca.pem"):
        assert wanted in said
    assert "secret" not in said


def test_a_data_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    [said] = problems(settings(tmp_path, data_dir=str(tmp_path / "file" / "below")))
    assert said.startswith("data_dir: ")
    assert said.endswith("is a file")


def test_what_starts_has_no_problem_and_leaves_no_folder(tmp_path: Path) -> None:
    assert problems(settings(tmp_path)) == []
    assert not (tmp_path / "data").exists()


def test_a_keyring_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    [said] = problems(settings(tmp_path, sealing={"keyring_file": str(tmp_path / "keyring.json")}))
    assert said.startswith("sealing.keyring_file: cannot read")


def test_files_of_gateway_console_reporter_and_webhooks_are_named_at_once(tmp_path: Path) -> None:
    def gone(name: str) -> str:
        return str(tmp_path / name)

    (tmp_path / "short.key").write_bytes(b"short")
    tls = {"certificate_file": gone("cert.pem"), "key_file": gone("key.pem")}
    gateway = {
        "keys_file": gone("keys.json"),
        "device_key_file": gone("short.key"),
        "identity": {"news": {"jwks_file": gone("jwks.json")}},
        "sharing": {"token_file": gone("gateways.token")},
        **tls,
    }
    webhook = {
        "url": "https://crm.example/push",
        "secret_file": gone("crm.whsec"),
        "events": ["tokens.invalid"],
        "allowed_hosts": ["crm.example"],
    }
    chosen = settings(
        tmp_path,
        gateway=gateway,
        console={"secret_file": gone("console.secret"), **tls},
        reports={"token_file": gone("reports.token")},
        webhooks={"crm": webhook},
    )
    said = "\n".join(problems(chosen))
    for wanted in (
        *("gateway.keys_file", "gateway.device_key_file", "gateway.identity.news.jwks_file", "gateways.token"),
        *("gateway.certificate_file", "console.secret_file", "console.certificate_file", "reports.token_file"),
        "crm.whsec",
    ):
        assert wanted in said


def test_doors_without_files_have_no_problem(tmp_path: Path) -> None:
    assert problems(settings(tmp_path, gateway={}, console={}, reports={})) == []
    assert not (tmp_path / "data").exists()


def test_a_secret_file_that_everybody_may_read_is_a_warning(tmp_path: Path) -> None:
    key, ca = tmp_path / "AuthKey.p8", tmp_path / "ca.pem"
    for file in (key, ca):
        file.write_text("x")
        file.chmod(0o644)
    chosen = settings(tmp_path, apps={"news": {"apns": apns(key_file=str(key), ca_file=str(ca))}})
    [said] = readable_by_all(chosen)
    assert said.startswith(f"apps.news.apns.key_file: {key}")
    key.chmod(0o600)
    assert readable_by_all(chosen) == []


def test_a_public_file_that_everybody_may_read_is_no_warning_and_a_certificate_with_its_key_is_one(
    tmp_path: Path,
) -> None:
    public, both = tmp_path / "public.pem", tmp_path / "both.pem"
    public.write_text("-----BEGIN CERTIFICATE-----\n")
    both.write_text("-----BEGIN CERTIFICATE-----\n-----BEGIN PRIVATE KEY-----\n")
    key = tmp_path / "key.pem"
    key.write_text("-----BEGIN PRIVATE KEY-----\n")
    for file, mode in ((public, 0o644), (both, 0o644), (key, 0o600)):
        file.chmod(mode)
    gateway = {"certificate_file": str(public), "key_file": str(key), "identity": {"news": {"jwks_file": str(public)}}}
    of_both = {"topic": "com.example", "certificate_file": str(both)}
    [said] = readable_by_all(settings(tmp_path, gateway=gateway, apps={"news": {"apns": of_both}}))
    assert said.startswith(f"apps.news.apns.certificate_file: {both}")
