from __future__ import annotations

from pathlib import Path

import pytest

from pushcast.http2.dial import resolve
from unit.providers.webpush.test_client import Lab, answer
from unit.providers.webpush.test_credentials import key_file

__all__ = ["key_file"]


@pytest.mark.parametrize("host", ["push..example", "x" * 64 + ".example"])
async def test_an_endpoint_whose_host_can_be_no_name_ends_no_sender(key_file: Path, host: str) -> None:
    lab = Lab(key_file, [answer(201)], {}, resolver=resolve)
    assert await lab.send([f"https://{host}/x"]) == [("unsent", "connection_failed")]
