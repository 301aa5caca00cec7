"""Signatures and their secrets; the judge is the reference library of Standard Webhooks."""

from __future__ import annotations

import base64
import importlib
import os
import time
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from pushcast.model.errors import ConfigurationError
from pushcast.webhook.signing import SecretsFile, headers_of, read_secrets

judge: Any = importlib.import_module("standardwebhooks")
OLD, NEW = ("whsec_" + base64.b64encode(letter * 32).decode() for letter in (b"o", b"n"))
BODY = b'{"type":"deliveries.ended"}'


def write(folder: Path, *lines: str) -> Path:
    file = folder / "crm.whsec"
    file.write_text("\n".join(lines) + "\n")
    return file


def test_w2_old_and_new_secret_verify_while_one_is_rotated_and_a_changed_byte_does_not(tmp_path: Path) -> None:
    file = SecretsFile(write(tmp_path, OLD))
    before = headers_of(file.now(), "crm_3_1_2", int(time.time()), BODY)
    assert judge.Webhook(OLD).verify(BODY, before) == {"type": "deliveries.ended"}
    with pytest.raises(judge.WebhookVerificationError):
        judge.Webhook(NEW).verify(BODY, before)

    write(tmp_path, NEW, OLD)
    os.utime(tmp_path / "crm.whsec", ns=(1, 1))
    during = headers_of(file.now(), "crm_3_1_2", int(time.time()), BODY)
    for secret in (OLD, NEW):
        judge.Webhook(secret).verify(BODY, during)
        with pytest.raises(judge.WebhookVerificationError):
            judge.Webhook(secret).verify(BODY.replace(b"e", b"f", 1), during)
        with pytest.raises(judge.WebhookVerificationError):
            judge.Webhook(secret).verify(BODY, during | {"webhook-id": "crm_3_1_3"})

    write(tmp_path, NEW)
    os.utime(tmp_path / "crm.whsec", ns=(2, 2))
    after = headers_of(file.now(), "crm_3_1_2", int(time.time()), BODY)
    judge.Webhook(NEW).verify(BODY, after)
    with pytest.raises(judge.WebhookVerificationError):
        judge.Webhook(OLD).verify(BODY, after)


def test_a_file_that_became_unreadable_leaves_the_secrets_as_they_were(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = SecretsFile(write(tmp_path, OLD))
    before = file.now()
    write(tmp_path, "whsec_short")
    os.utime(tmp_path / "crm.whsec", ns=(1, 1))
    assert file.now() == before
    assert "line 1 is not whsec_" in caplog.text
    (tmp_path / "crm.whsec").unlink()
    assert file.now() == before


def test_a_file_whose_permissions_are_put_right_is_read_although_nobody_wrote_to_it_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = SecretsFile(write(tmp_path, OLD))
    write(tmp_path, NEW)
    with monkeypatch.context() as others:
        others.setattr(Path, "read_text", Mock(side_effect=PermissionError(13, "Permission denied")))
        before = file.now()
    (tmp_path / "crm.whsec").chmod(0o640)
    assert before == [b"o" * 32]
    assert file.now() == [b"n" * 32]


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([], "0 secrets"),
        ([OLD] * 4, "4 secrets"),
        (["whsec_" + base64.b64encode(b"x" * 23).decode()], "24 to 64 bytes"),
        ([base64.b64encode(b"x" * 32).decode()], "line 1 is not whsec_"),
        ([OLD, "whsec_%%%"], "line 2 is not whsec_"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_without_its_secrets(lines: list[str], said: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as refused:
        read_secrets(write(tmp_path, *lines))
    assert said in str(refused.value)
    assert not any(line and line in str(refused.value) for line in lines)
