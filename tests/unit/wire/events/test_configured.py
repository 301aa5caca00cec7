"""What the configuration does not have is named with what it has (faults.md P3-24)."""

from __future__ import annotations

from pushcast.wire.events.configured import unknown_app, unknown_class


def test_the_nearest_name_is_offered_else_all_there_are() -> None:
    assert str(unknown_class("brekaing", {"default", "breaking"})) == (
        "class 'brekaing' is not configured; did you mean breaking?"
    )
    error = unknown_app("x", ["shop", "news"])
    assert (str(error), error.field) == ("app 'x' is not configured; apps are: news, shop", "app")
    assert str(unknown_app("x", [])) == "app 'x' is not configured; apps are: none"


def test_many_names_are_cut_short() -> None:
    said = str(unknown_class("x" * 500, [f"class-{number:02}" for number in range(30)]))
    assert said.endswith("class-09 and 20 more")
    assert "x" * 65 not in said
