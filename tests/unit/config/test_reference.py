"""docs/configuration.md follows from the settings tree."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel

from pushcast.config.reference import _comments, render

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


def test_each_key_is_described() -> None:
    rows = [line.split(" | ") for line in render().splitlines() if line.startswith("| `")]
    assert rows
    assert [row[0] for row in rows if not row[-1].removesuffix("|").strip()] == []


def test_what_is_said_beside_a_key_is_found_where_its_default_goes_over_several_lines_or_is_inherited() -> None:
    class Base(BaseModel):
        shared: int = 1  # of all

    class Own(Base):
        # Not this one.
        hosts: tuple[str, ...] = (  # the list
            "a",
            "b",  # not this one
        )
        plain: int = 2

    assert _comments(Own) == {"shared": "Of all", "hosts": "The list"}
