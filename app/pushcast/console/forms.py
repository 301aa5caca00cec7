"""Bodies of forms. Pure."""

from __future__ import annotations

from typing import Final
from urllib.parse import parse_qsl

from pushcast.gateway.problems import Problem

FORM: Final = "application/x-www-form-urlencoded"
MAX_FORM_BYTES: Final = 65_536
MAX_FIELDS: Final = 64


def read_form(content_type: str, body: bytes) -> dict[str, str]:
    """Fields by name, ends of lines as \\n. Raises Problem: another type, no UTF-8, too many fields, a field twice."""
    if content_type != FORM:
        raise Problem("unsupported_media_type", f"a form is sent as {FORM}")
    try:
        pairs = parse_qsl(
            body.decode("ascii"), keep_blank_values=True, max_num_fields=MAX_FIELDS, encoding="utf-8", errors="strict"
        )
    except UnicodeDecodeError:
        raise Problem("bad_request", "the form is no UTF-8 in percent encoding") from None
    except ValueError:
        raise Problem("bad_request", f"the form has more than {MAX_FIELDS} fields") from None
    found = {name: value.replace("\r\n", "\n") for name, value in pairs}
    if len(found) != len(pairs):
        raise Problem("bad_request", "a field stands in the form twice")
    return found
