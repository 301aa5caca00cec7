"""The tree of `app/`: no module can be read only together with another that needs it in turn."""

from __future__ import annotations

from pathlib import Path

from unit.house.imports import circles, graph


def test_no_modules_import_each_other_in_a_circle_not_even_for_types() -> None:
    assert circles(graph()) == []


def test_a_circle_is_found_through_type_checking_blocks_and_relative_imports(tmp_path: Path) -> None:
    package = tmp_path / "house"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "one.py").write_text("from .two import thing\n")
    (package / "two.py").write_text("import typing\nif typing.TYPE_CHECKING:\n    from house import three\n")
    (package / "three.py").write_text("def late():\n    import house.one\n")
    (package / "leaf.py").write_text("import house.one\n")
    assert circles(graph(tmp_path)) == [["house.one", "house.three", "house.two"]]
