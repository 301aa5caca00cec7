from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from msgspec.structs import fields

from pushcast.model.notification import Content, Options
from pushcast.providers.document import document
from pushcast.providers.document_fields import FIELDS, Cell
from pushcast.simulators.fcm.schema import FIELDS as FCM_FIELDS
from pushcast.simulators.fcm.schema import snake

PAGE = Path(__file__).parents[3] / "docs" / "providers.md"


def test_the_page_is_what_the_verdict_tables_say() -> None:
    assert PAGE.read_text() == document(), "run: python -m pushcast.providers.document > docs/providers.md"


def test_every_line_of_a_table_has_as_many_cells_as_its_head() -> None:
    lines = [line for line in document().splitlines() if line.startswith("|")]
    assert {line.count(" | ") for line in lines if not line.startswith("|---")} == {1, 4, 7}


def test_what_stands_in_a_message_of_fcm_is_in_googles_list_of_fields() -> None:
    """Issue 11: FCM's field list is walked against the discovery document of v1."""
    paths = [path for field in FIELDS if field.fcm for path in re.findall(r"`([a-z_.]+)`", field.fcm.text)]
    ours = [path for path in paths if not path.startswith("aps.") and path != "data.pc"]
    assert len(ours) > 15
    assert [path for path in ours if not is_known(path.split("."))] == []


def is_known(path: list[str], kind: Any = "Message") -> bool:
    """Whether a path in snake_case leads to a field."""
    if not path:
        return True
    below = {snake(name): inner for name, inner in FCM_FIELDS[kind].items()}.get(path[0])
    if below is None:
        return False
    return is_known(path[1:], below["message"]) if isinstance(below, dict) and "message" in below else len(path) == 1


def test_every_field_that_a_provider_hears_of_has_its_row() -> None:
    rows = " ".join(field.ours for field in FIELDS)
    ours = [field.name for field in fields(Content)] + [f"options.{field.name}" for field in fields(Options)]
    assert [name for name in ours if f"`{name}`" not in rows] == [
        "locales",  # a device gets one of them
        "platforms",  # below the table
        "tracked",  # of the class, not of the event
        *("options.dry_run", "options.at_most_once", "options.override"),  # whether and when it is sent
    ]


def test_every_cell_of_the_fields_names_its_page() -> None:
    pages = [cell.page for field in FIELDS for cell in field[1:] if isinstance(cell, Cell)]
    assert all(page.startswith("https://") for page in pages)
    assert [field.ours for field in FIELDS if not any(field[1:])] == []
