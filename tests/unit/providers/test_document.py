from __future__ import annotations

from pathlib import Path

from pushcast.providers.document import document

PAGE = Path(__file__).parents[3] / "docs" / "providers.md"


def test_the_page_is_what_the_verdict_tables_say() -> None:
    assert PAGE.read_text() == document(), "run: python -m pushcast.providers.document > docs/providers.md"


def test_every_line_of_a_table_has_as_many_cells_as_its_head() -> None:
    lines = [line for line in document().splitlines() if line.startswith("|")]
    assert {line.count(" | ") for line in lines if not line.startswith("|---")} == {1, 4, 7}
