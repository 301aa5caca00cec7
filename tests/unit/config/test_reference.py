"""docs/configuration.md follows from the settings tree."""

from __future__ import annotations

from pathlib import Path

from pushcast.config.reference import render

PAGE = Path(__file__).parents[3] / "docs" / "configuration.md"


def test_the_page_is_the_one_of_this_tree() -> None:
    assert PAGE.read_text(encoding="utf-8") == render(), (
        "run `python -m pushcast.config.reference > docs/configuration.md`"
    )


def test_a_key_stands_with_default_limit_and_what_is_said_beside_it() -> None:
    page = render()
    assert (
        "| `kafka.partitions` | `8` | at least 1, at most 1024 | Of every topic of the way; never changed in place |"
        in page
    )
    assert "| `apps.<name>.apns.topic` | required |" in page
    assert "| `observe.port` | `0` |" in page
