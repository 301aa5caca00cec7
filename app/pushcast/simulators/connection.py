"""What a provider needs of a client connection, whichever HTTP it speaks."""

from __future__ import annotations

import asyncio
from typing import Protocol


class Connection(Protocol):
    """ServerConnection (HTTP/2) and Http1Connection have this shape; see ServerConnection for what each does."""

    number: int
    out: list[bytes]
    answered: int
    received_at: float
    requests: int
    transport: asyncio.Transport | None
    going_away: bool
    max_active: int
    memo: object
    style: str
    bytes_per_second: float

    @property
    def open_stream_ids(self) -> list[int]: ...

    def hold(self, stream_id: int) -> None: ...

    def answer(self, stream_id: int, block: bytes, body: bytes = b"", *, cut: int = 0, trail: bool = False) -> bool: ...

    def answer_held(
        self, stream_id: int, block: bytes, body: bytes = b"", *, cut: int = 0, trail: bool = False
    ) -> bool: ...

    def begin_answer(self, stream_id: int, block: bytes, body: bytes) -> None: ...

    def reset(self, stream_id: int, error_code: int) -> None: ...

    def send_settings(self, values: dict[int, int]) -> None: ...

    def send_ping(self, payload: bytes) -> None: ...

    def goaway(self, error_code: int, debug: bytes = b"", *, last_stream_id: int | None = None) -> None: ...

    def drain(self) -> None: ...

    def freeze(self, frozen: bool) -> None: ...

    def flush(self) -> None: ...

    def close(self) -> None: ...

    def abort(self) -> None: ...
