"""Rows of exports, as their systems write them: tables, lines of JSON or of XML, pages of an API. Reads a text."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from typing import Any, Final, TextIO

import orjson

from pushcast.model.errors import ConfigurationError, InvalidInput
from pushcast.wire.migrate import airship, azure, columns, countly, onesignal, parse, sns
from pushcast.wire.migrate.rows import FoundDevice, Import, Row, Skipped
from pushcast.wire.migrate.tables import CsvTable, not_utf8

#: A file that is one document is read whole; lines are not.
MAX_DOCUMENT_CHARS: Final = 256 << 20
#: A device with the line of its row, why the row is none, or what is wrong with it.
Numbered = tuple[int, FoundDevice | InvalidInput]


class System(StrEnum):
    """Whose export a file is."""

    onesignal = "onesignal"
    airship = "airship"
    countly = "countly"
    parse = "parse"
    sns = "sns"
    azure = "azure"
    table = "table"  # anybody's CSV, by a map file


_Changes = Callable[[Row, Import], Iterator[FoundDevice]]
#: Systems that write JSON: how a row is read, and what holds the rows of a page.
_JSON: Final[Mapping[System, tuple[_Changes, str]]] = {
    System.airship: (airship.changes_of, airship.PAGE),
    System.countly: (countly.changes_of, "rows"),
    System.parse: (parse.changes_of, parse.PAGE),
    System.sns: (sns.changes_of, sns.PAGE),
}


def found_in(text: TextIO, system: System, how: Import) -> Iterator[Numbered]:
    """Each device of the export with the line of its row, or why the row is none. `text` is to be read with
    `surrogateescape`. Raises ConfigurationError for a map that does not go with the file, a header that cannot be read,
    or a document that is too long."""
    if system is System.azure:
        for number, line in enumerate(text, 1):
            if (problem := not_utf8(line)) is not None:
                yield number, problem
            elif line.strip():
                yield from _numbered(number, azure.changes_of_line(line.lstrip("\ufeff").strip(), how))
    elif system in _JSON:
        changes_of, page = _JSON[system]
        for number, row in _json_rows(text, page):
            if isinstance(row, InvalidInput):
                yield number, row
            else:
                yield from _numbered(number, (Skipped.UNREADABLE,) if row is None else changes_of(row, how))
    else:
        table = CsvTable(text)
        if system is System.table:
            columns.check_map(how, table.header)
        else:
            table.need(onesignal.COLUMNS, "export of OneSignal")
        read = columns.changes_of if system is System.table else onesignal.changes_of
        for number, cells in table:
            yield from _numbered(number, (cells,) if isinstance(cells, InvalidInput) else read(cells, how))


def _numbered(number: int, found: Any) -> Iterator[Numbered]:
    for each in found:
        yield number, each


def _json_rows(text: TextIO, page: str) -> Iterator[tuple[int, Row | InvalidInput | None]]:
    """Rows of lines, each a row or a page; or of a file that is one document. None: what is no row."""
    for number, line in enumerate(text, 1):
        if not line.strip():
            continue
        try:
            value = orjson.loads(line)
        except orjson.JSONDecodeError:
            if number > 1:
                yield number, not_utf8(line)
                continue
            rest = text.read(MAX_DOCUMENT_CHARS)
            if text.read(1):
                raise ConfigurationError(
                    f"one JSON document of more than {MAX_DOCUMENT_CHARS >> 20} MiB: make lines of it, as "
                    f"`jq -c '.{page}[]'` does"
                ) from None
            try:
                value = orjson.loads(line + rest)
            except orjson.JSONDecodeError:
                yield number, not_utf8(line)
                for later, each in enumerate(rest.splitlines(), number + 1):
                    if (problem := not_utf8(each)) is not None:
                        yield later, problem
                    elif each.strip():
                        yield from ((later, row) for row in _rows(_loaded(each), page))
                return
        yield from ((number, row) for row in _rows(value, page))


def _loaded(line: str) -> Any:
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError:
        return None


def _rows(value: Any, page: str) -> Iterator[Row | None]:
    if isinstance(value, dict) and isinstance(value.get(page), list):
        value = value[page]
    for each in value if isinstance(value, list) else (value,):
        yield each if isinstance(each, dict) else None
