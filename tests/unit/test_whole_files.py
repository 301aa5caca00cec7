"""What is written beside a file takes its place whole, or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from pushcast.whole_files import whole_file, write_whole


@pytest.mark.parametrize("private", [False, True])
def test_a_file_is_replaced_and_nothing_is_left_beside_it(private: bool, tmp_path: Path) -> None:
    path = tmp_path / "ring.json"
    for content in (b"one", b"two"):
        write_whole(path, content, private=private)
        assert [(each.name, each.read_bytes()) for each in tmp_path.iterdir()] == [("ring.json", content)]


@pytest.mark.parametrize("private", [False, True])
def test_what_fails_half_way_leaves_the_file_as_it_was(private: bool, tmp_path: Path) -> None:
    path = tmp_path / "ring.json"
    write_whole(path, b"one")

    def failing() -> None:
        with whole_file(path, private=private) as file:
            file.write(b"tw")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        failing()
    assert [(each.name, each.read_bytes()) for each in tmp_path.iterdir()] == [("ring.json", b"one")]


def test_a_private_file_is_its_owners_alone(tmp_path: Path) -> None:
    write_whole(tmp_path / "ring.json", b"one", private=True)
    assert (tmp_path / "ring.json").stat().st_mode & 0o777 == 0o600


def test_what_a_killed_process_left_is_no_hindrance(tmp_path: Path) -> None:
    (tmp_path / ".ring.json.new").write_bytes(b"half of a longer one")
    write_whole(tmp_path / "ring.json", b"one")
    assert [(each.name, each.read_bytes()) for each in tmp_path.iterdir()] == [("ring.json", b"one")]
