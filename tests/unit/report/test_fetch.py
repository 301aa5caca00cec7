"""What reporters and those who ask them share."""

from __future__ import annotations

from pathlib import Path

import pytest

from pushcast.model.errors import ConfigurationError
from pushcast.report.fetch import read_token


def test_a_token_file_that_is_no_text_or_not_there_is_named_and_not_quoted(tmp_path: Path) -> None:
    file = tmp_path / "token"
    for problem in ("No such file", "no text"):
        with pytest.raises(ConfigurationError, match=f"reports.token_file: .*token: {problem}"):
            read_token(file)
        file.write_bytes(b"s3cret\xff")
    file.write_text(" s3cret\n")
    assert (read_token(file), read_token(None)) == ("s3cret", None)
