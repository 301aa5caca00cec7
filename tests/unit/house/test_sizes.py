"""A file holds one idea. It is split when it nears 250 lines; the list of those that are far beyond may only shrink."""

from __future__ import annotations

from unit.house.imports import ROOT

#: What a file is written towards, and what it must never pass.
WANTED_LINES = 250
MOST_LINES = 290
#: Beyond or near that today. Whoever splits one takes it off; nobody puts one on.
LONG = {
    "http2/connection.py",
    "http2/server.py",
    "http2/server_streams.py",
    "transport/consumer.py",
}


def lines_of_files() -> dict[str, int]:
    """Lines of each file, by its path relative to the package."""
    package = ROOT / "pushcast"
    return {
        path.relative_to(package).as_posix(): len(path.read_text(encoding="utf-8").splitlines())
        for path in package.rglob("*.py")
    }


def test_no_other_file_becomes_too_long_for_one_idea() -> None:
    found = {name: count for name, count in lines_of_files().items() if count > MOST_LINES and name not in LONG}
    assert found == {}, "split it"


def test_a_file_that_was_split_is_taken_off_the_list() -> None:
    lines = lines_of_files()
    assert [name for name in sorted(LONG) if lines.get(name, 0) <= WANTED_LINES] == [], "take it off the list"
