"""Rows of a CSV file, each by itself: what is wrong with one is told with its line and column, and the next is read."""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Final

from pushcast.model.errors import ConfigurationError, InvalidInput
from pushcast.model.words import Reason

_FORM: Final = "RFC 4180 has the form of CSV"
#: Of a line, when the cell at fault is looked for: that costs the square of it.
_SEARCHED_CHARS: Final = 8192
Cells = dict[str, str]


class CsvTable:
    """The rows under a header, as cells by column. Text is to be read with `surrogateescape`, so that bytes that are no
    UTF-8 cost their own row alone."""

    def __init__(self, lines: Iterable[str]) -> None:
        """Raises ConfigurationError for a header that cannot be read. A file without one has no rows."""
        self._source = _Lines(lines)
        self._reader = csv.reader(self._source, strict=True)  # else an open quote takes in the rest of the file
        self.header: list[str] = []
        number, cells = next(self._rows(), (1, []))
        problem = cells if isinstance(cells, InvalidInput) else _not_utf8_in(cells, [])
        if problem is not None:
            raise ConfigurationError(f"line {number}, the header: {problem}")
        self.header = [] if isinstance(cells, InvalidInput) else cells

    def __iter__(self) -> Iterator[tuple[int, Cells | InvalidInput]]:
        """Each row with the line it begins in. A row with fewer cells than columns has the others empty."""
        for number, cells in self._rows():
            yield number, cells if isinstance(cells, InvalidInput) else self._row(cells)

    def need(self, columns: Iterable[str], whose: str) -> None:
        """Raises ConfigurationError when a file lacks a column that every one of its kind has. An empty one is fine."""
        missing = [] if not self.header else [name for name in columns if name not in self.header]
        if missing:
            raise ConfigurationError(f"the file is no {whose}: it has no column {missing[0]!r} in its header, line 1")

    def _row(self, cells: list[str]) -> Cells | InvalidInput:
        columns = len(self.header)
        if len(cells) > columns:
            said = f"the row has {len(cells)} cells and the header {columns}: cell {columns + 1} has no column"
            return InvalidInput(Reason.INVALID_FIELD, said, f"cell {columns + 1}")
        problem = _not_utf8_in(cells, self.header)
        if problem is not None:
            return problem
        return dict.fromkeys(self.header[len(cells) :], "") | dict(zip(self.header, cells, strict=False))

    def _rows(self) -> Iterator[tuple[int, list[str] | InvalidInput]]:
        while True:
            number = self._source.begin()
            try:
                cells = next(self._reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield number, self._problem(error, self._source.give_back())
                continue
            if cells:
                yield number, cells

    def _problem(self, error: csv.Error, line: str) -> InvalidInput:
        place = _column_at_fault(line[: csv.field_size_limit()])
        column = self.header[place] if place < len(self.header) else f"cell {place + 1}"
        said = "its quote is not closed" if "end of data" in str(error) else str(error)
        return InvalidInput(Reason.INVALID_FIELD, f"{column}: {said}; {_FORM}", column)


class _Lines:
    """Lines of a file, of which those that a broken row took in are read again."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines = iter(lines)
        self._again: deque[str] = deque()
        self._taken: list[str] = []
        self._next = 1

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = self._again.popleft() if self._again else next(self._lines)
        self._taken.append(line)
        return line

    def begin(self) -> int:
        """A row begins: the number of its first line."""
        self._next += len(self._taken)
        self._taken.clear()
        return self._next

    def give_back(self) -> str:
        """The row is broken: its first line, which counts as read; the others do not."""
        first, *others = self._taken
        self._again.extendleft(reversed(others))
        self._taken = [first]
        return first


def not_utf8(text: str, field: str | None = None) -> InvalidInput | None:
    """What is wrong with a text that was read with `surrogateescape`."""
    if text.isascii():
        return None
    try:
        text.encode()
    except UnicodeEncodeError:
        name = "the line" if field is None else field
        return InvalidInput(Reason.INVALID_FIELD, f"{name} is not UTF-8: save the file as UTF-8", field)
    return None


def _not_utf8_in(cells: list[str], header: list[str]) -> InvalidInput | None:
    for place, cell in enumerate(cells):
        if not cell.isascii() and (problem := not_utf8(cell, header[place] if header else None)) is not None:
            return problem
    return None


def _column_at_fault(line: str) -> int:
    """In which cell of a line a strict reader fails: the first that is wrong by itself, else the last one."""
    parts = line[:_SEARCHED_CHARS].split(",")
    for count in range(1, len(parts) + 1):
        begun = ",".join(parts[:count])
        try:
            next(csv.reader([begun], strict=True), None)
        except csv.Error as error:
            if "end of data" not in str(error):
                return _cells_of(begun) - 1
    return _cells_of(line) - 1


def _cells_of(line: str) -> int:
    try:
        return max(1, len(next(csv.reader([line]), [])))
    except csv.Error:
        return 1
