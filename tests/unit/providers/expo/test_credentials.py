from __future__ import annotations

import os
from pathlib import Path

import pytest

from pushcast.model.clock import ManualClock
from pushcast.model.errors import ConfigurationError
from pushcast.providers.expo.credentials import AccessToken


def test_without_a_file_there_is_no_header() -> None:
    assert AccessToken(None, ManualClock()).header() is None


def test_the_file_is_read_again_when_it_changed_and_kept_when_it_broke(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("first\n")
    clock = ManualClock()
    token = AccessToken(file, clock)
    assert token.header() == "Bearer first"
    for text, expected in (("second", "Bearer second"), ("", "Bearer second"), ("third", "Bearer third")):
        file.write_text(text)
        os.utime(file, ns=(len(text), hash(text) % 10**9))
        clock.advance(10)
        assert token.header() == expected


@pytest.mark.parametrize("content", [b"", b"two words", b"\xff", b"a\nb"])
def test_what_is_no_token_is_refused_without_showing_it(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "token"
    file.write_bytes(content)
    with pytest.raises(ConfigurationError, match="access_token_file") as refused:
        AccessToken(file, ManualClock())
    assert "words" not in str(refused.value)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"access_token_file .*No such file"):
        AccessToken(tmp_path / "none", ManualClock())
