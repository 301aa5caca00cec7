"""A broken row of a table costs itself alone, and is told with its line and its column."""

from __future__ import annotations

import csv
import io
import tracemalloc
from itertools import chain

import pytest

from pushcast.model.errors import ConfigurationError, InvalidInput
from pushcast.wire.migrate.tables import CsvTable

LIMIT = csv.field_size_limit()


def read(body: str) -> list[tuple[int, dict[str, str] | str]]:
    """Rows with their lines; of a broken one its column."""
    table = CsvTable(io.StringIO(body, newline=""))
    return [(number, row.field or "" if isinstance(row, InvalidInput) else row) for number, row in table]


def test_rows_have_the_numbers_of_their_first_lines() -> None:
    assert read('a,b\r\n1,"2\r\n3"\r\n\r\n4,5\r\n') == [
        (2, {"a": "1", "b": "2\r\n3"}),
        (5, {"a": "4", "b": "5"}),
    ]


def test_a_row_with_too_few_cells_has_the_others_empty() -> None:
    assert read("a,b\n1\n") == [(2, {"a": "1", "b": ""})]


@pytest.mark.parametrize(
    ("row", "field"),
    [
        ("1,2,3", "cell 3"),
        ('1,"2', "b"),  # open up to the end of the file
        ('"1"x,2', "a"),
        ('1,"2"x', "b"),
        ('"1,1","2" ', "b"),
        ("1,\udcff", "b"),
        (f"1,{'x' * (LIMIT + 1)}", "b"),
    ],
)
def test_a_broken_row_among_good_ones_costs_itself_alone(row: str, field: str) -> None:
    good = {"a": "4", "b": "5,6"}
    assert read(f'a,b\n4,"5,6"\n{row}\n4,"5,6"\n4,"5,6"\n') == [(2, good), (3, field), (4, good), (5, good)]


def test_every_row_may_be_broken_and_each_is_told() -> None:
    assert read("a,b\n" + '1,"2\n' * 3) == [(2, "b"), (3, "b"), (4, "b")]


@pytest.mark.parametrize("header", ['"a', "a,\udcff", "x" * (LIMIT + 1)])
def test_a_header_that_cannot_be_read_ends_the_import(header: str) -> None:
    with pytest.raises(ConfigurationError, match="line 1, the header"):
        CsvTable(io.StringIO(header + "\n1\n"))


def test_nothing_of_a_cell_stands_in_what_is_said_of_it() -> None:
    [(_, found)] = list(CsvTable(io.StringIO('token\n"se"cret\n')))
    assert isinstance(found, InvalidInput)
    assert "cret" not in str(found)


def test_an_open_quote_takes_no_more_of_a_file_into_memory_than_a_cell_may_have() -> None:
    lines = chain(["a,b\n", '1,"open\n'], (f"{number},x\n" for number in range(200_000)))
    tracemalloc.start()
    try:
        assert sum(isinstance(row, InvalidInput) for _, row in CsvTable(lines)) == 1
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()
