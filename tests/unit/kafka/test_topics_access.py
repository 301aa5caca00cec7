"""What roles must be allowed to do at the broker follows from the topology and stands in docs/operations.md."""

from __future__ import annotations

from pathlib import Path

import pytest

from pushcast.config.settings import Settings
from pushcast.kafka.topics import load_topology
from pushcast.kafka.topics.access import GROUPS, render, replace
from pushcast.model.words import Lane, Platform
from pushcast.runtime.hosted import specs_of
from pushcast.runtime.roles import ROLES

OPERATIONS = Path(__file__).parents[3] / "docs" / "operations.md"


def test_the_page_for_operators_has_the_table_of_this_topology() -> None:
    page = OPERATIONS.read_text(encoding="utf-8")
    assert page == replace(page, render(load_topology())), "run `make graph`"


def test_every_role_is_in_the_table_with_patterns_for_all_its_groups() -> None:
    app = {
        "apns": {"topic": "com.example.news", "certificate_file": "c"},
        "fcm": {"service_account_file": "f", "project_id": "p"},
        "expo": {},
        "webpush": {"vapid_key_file": "k", "subject": "mailto:a@b.example"},
    }
    settings = Settings.model_validate({"apps": {"news": app}})
    assert GROUPS.keys() == ROLES.keys()
    for role, patterns in GROUPS.items():
        for spec in specs_of(role, settings, list(Lane), list(Platform)):
            assert any(
                spec.group == pattern or (pattern.endswith("*") and spec.group.startswith(pattern[:-1]))
                for pattern in patterns
            ), spec.group


def test_a_page_without_the_part_is_an_error() -> None:
    with pytest.raises(ValueError, match="no part between"):
        replace("nothing", "| table |")
