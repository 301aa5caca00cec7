from __future__ import annotations

import getpass

import pytest

from pushcast.cli.signed import as_said, operator
from pushcast.wire.control.control import MAX_TEXT_CHARS


def test_what_a_record_says_of_its_writer_and_why_is_cut_to_what_readers_take(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(getpass, "getuser", lambda: "a" * 2 * MAX_TEXT_CHARS)
    assert operator() == "a" * MAX_TEXT_CHARS
    assert as_said("b" * 2 * MAX_TEXT_CHARS) == "b" * MAX_TEXT_CHARS
    assert as_said("the wrong text") == "the wrong text"
