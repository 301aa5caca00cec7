"""The streams of one server connection and everything sent on them, within the client's windows and our limits."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import Final

from pushcast.http2 import frames as f
from pushcast.http2.errors import PeerViolation
from pushcast.http2.server_hpack import Shape
from pushcast.http2.server_styles import styled

# How long a connection that said its last GOAWAY waits for the client to read the answers and close.
_LINGER_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """What the server announces. `connection_window_bytes` is granted with a WINDOW_UPDATE behind SETTINGS."""

    max_concurrent_streams: int
    initial_window_bytes: int = f.DEFAULT_WINDOW_BYTES
    max_frame_bytes: int = f.DEFAULT_MAX_FRAME_BYTES
    max_header_list_bytes: int = 8_000
    header_table_bytes: int = f.DEFAULT_HEADER_TABLE_BYTES
    connection_window_bytes: int = 16 * 1024 * 1024
    max_body_bytes: int = 65_536

    def announced(self) -> dict[int, int]:
        return {
            f.SETTINGS_HEADER_TABLE_SIZE: self.header_table_bytes,
            f.SETTINGS_MAX_CONCURRENT_STREAMS: self.max_concurrent_streams,
            f.SETTINGS_INITIAL_WINDOW_SIZE: self.initial_window_bytes,
            f.SETTINGS_MAX_FRAME_SIZE: self.max_frame_bytes,
            f.SETTINGS_MAX_HEADER_LIST_SIZE: self.max_header_list_bytes,
        }


class ServerStreams:
    """The sending half of a connection, and which streams are open.

    `out` is what the next flush writes; whoever appends whole frames to it for a stream that was just received adds one
    to `answered` instead of calling `answer`. Open streams, held answers and blocked bodies are bounded by
    MAX_CONCURRENT_STREAMS.
    """

    def __init__(self, settings: ServerSettings, number: int) -> None:
        self.number = number
        self.out: list[bytes] = []
        self.answered = 0
        self.last_stream_id = 0
        self.transport: asyncio.Transport | None = None
        self.going_away = False
        self.style = "plain"
        self._settings = settings
        self._partial: dict[int, tuple[Shape, tuple[bytes, ...], list[bytes]]] = {}
        self._overlong: set[int] = set()
        self._held: set[int] = set()
        self._blocked: dict[int, tuple[bytes, int]] = {}
        self._credit: dict[int, int] = {}
        self._send_window = f.DEFAULT_WINDOW_BYTES
        self._peer_window = f.DEFAULT_WINDOW_BYTES
        self._peer_frame = f.DEFAULT_MAX_FRAME_BYTES
        self._limit = settings.max_concurrent_streams
        self._acknowledged: int | None = None
        self._unacknowledged: deque[int] = deque()
        self._unsent_limit: int | None = None
        self._last_accepted: int | None = None
        self._lingering = False
        self._frozen = False
        self._ended = False
        self._cut = False

    @property
    def active(self) -> int:
        """Streams that count against MAX_CONCURRENT_STREAMS, as the client sees it: answers not written yet count."""
        return len(self._partial) + len(self._held) + self.answered

    @property
    def open_stream_ids(self) -> list[int]:
        return sorted({*self._partial, *self._held})

    def hold(self, stream_id: int) -> None:
        """The answer comes later (or never): the stream stays open."""
        self._held.add(stream_id)

    def answer(self, stream_id: int, block: bytes, body: bytes = b"", *, cut: int = 0, trail: bool = False) -> bool:
        """Queues an answer, obeying the client's windows; False when the stream is gone. Does not flush.

        `cut` > 0 sends the first `cut` bytes of the body in a DATA frame of their own; `trail` ends the stream with an
        empty DATA frame behind the body, as FCM does.
        """
        held = stream_id in self._held
        if self._ended:
            return False
        if self.style != "plain" and len(body) < min(self._send_window, self._peer_window):
            # One more for the pad length of a padded DATA frame, which counts (RFC 9113 §6.9.1).
            self._send_window -= len(body) + (self.style == "padded" and bool(body))
            self.out.append(styled(self.style, stream_id, block, body))
            self._finish(stream_id, held)
            return True
        if not body and not trail:
            self.out.append(f.pack_headers(stream_id, block, end_stream=True, max_frame_bytes=self._peer_frame))
            self._finish(stream_id, held)
            return True
        self.out.append(f.pack_headers(stream_id, block, max_frame_bytes=self._peer_frame))
        window = min(self._send_window, self._peer_window + self._credit.get(stream_id, 0))
        if len(body) > window or (trail and not body):
            self._held.add(stream_id)
            self._blocked[stream_id] = (body, 0)
            self._send_blocked()
            return True
        self._send_window -= len(body)
        if cut and cut < len(body):
            self.out.append(f.pack_data(stream_id, body[:cut], end_stream=False))
            body = body[cut:]
        self.out.append(f.pack_data(stream_id, body, end_stream=not trail, max_frame_bytes=self._peer_frame))
        if trail:
            self.out.append(f.pack_data(stream_id, b""))
        self._finish(stream_id, held)
        return True

    def answer_held(
        self, stream_id: int, block: bytes, body: bytes = b"", *, cut: int = 0, trail: bool = False
    ) -> bool:
        """As `answer`, for a held stream; False when the client or a GOAWAY has ended it meanwhile."""
        return stream_id in self._held and self.answer(stream_id, block, body, cut=cut, trail=trail)

    def begin_answer(self, stream_id: int, block: bytes, body: bytes) -> None:
        """HEADERS and a DATA frame that does not end the stream: for answers that break off."""
        self.out.append(f.pack_headers(stream_id, block) + f.pack_data(stream_id, body, end_stream=False))
        self._send_window -= len(body)
        self._held.add(stream_id)

    def _send_blocked(self) -> None:
        for stream_id, (body, sent) in list(self._blocked.items()):
            window = min(self._send_window, self._peer_window + self._credit.get(stream_id, 0) - sent)
            part = body[: max(0, window)]
            if not part and body:
                continue
            self._send_window -= len(part)
            rest = body[len(part) :]
            self.out.append(f.pack_data(stream_id, part, end_stream=not rest, max_frame_bytes=self._peer_frame))
            if rest:
                self._blocked[stream_id] = (rest, sent + len(part))
            else:
                self._forget(stream_id)

    def _finish(self, stream_id: int, held: bool) -> None:
        if held:
            self._forget(stream_id)
            if stream_id in self._overlong:
                self.out.append(f.pack_rst_stream(stream_id, f.NO_ERROR))
        else:
            self.answered += 1

    def _forget(self, stream_id: int) -> None:
        self._partial.pop(stream_id, None)
        self._held.discard(stream_id)
        self._blocked.pop(stream_id, None)
        self._credit.pop(stream_id, None)

    def reset(self, stream_id: int, error_code: int) -> None:
        self.out.append(f.pack_rst_stream(stream_id, error_code))
        self._forget(stream_id)

    def send_settings(self, values: dict[int, int]) -> None:
        """Announces new values. A higher stream limit holds from the flush on, a lower one from the client's ACK."""
        if not self.out and self.transport is None:
            return
        self.out.append(f.pack_settings(values))
        current = self._unsent_limit if self._unsent_limit is not None else self._announced_limit()
        self._unsent_limit = values.get(f.SETTINGS_MAX_CONCURRENT_STREAMS, current)

    def _announced_limit(self) -> int:
        if self._unacknowledged:
            return self._unacknowledged[-1]
        return self._acknowledged if self._acknowledged is not None else self._limit

    def settings_received(self, frame: f.Frame) -> None:
        """The client's SETTINGS, or its acknowledgement of ours. Raises PeerViolation."""
        if frame.flags & f.FLAG_ACK:
            if self._unacknowledged:
                self._acknowledged = self._unacknowledged.popleft()
                self._limit = max((self._acknowledged, *self._unacknowledged))
            return
        for key, value in f.unpack_settings(frame.payload):
            if key == f.SETTINGS_INITIAL_WINDOW_SIZE:
                if value > f.LARGEST_WINDOW_BYTES:
                    raise PeerViolation("INITIAL_WINDOW_SIZE above 2^31-1", f.FLOW_CONTROL_ERROR)
                self._peer_window = value
            elif key == f.SETTINGS_MAX_FRAME_SIZE:
                if not f.DEFAULT_MAX_FRAME_BYTES <= value <= f.LARGEST_MAX_FRAME_BYTES:
                    raise PeerViolation("MAX_FRAME_SIZE out of range")
                self._peer_frame = value
        self.out.append(f.pack_settings_ack())
        self._send_blocked()

    def window_update(self, frame: f.Frame) -> None:
        """The client takes more. Raises PeerViolation."""
        increment = f.unpack_u32(frame.payload, "WINDOW_UPDATE") & f.LARGEST_WINDOW_BYTES
        if not increment:
            raise PeerViolation("WINDOW_UPDATE of 0")
        stream_id = frame.stream_id
        if stream_id == 0:
            self._send_window += increment
            if self._send_window > f.LARGEST_WINDOW_BYTES:
                raise PeerViolation("connection window above 2^31-1", f.FLOW_CONTROL_ERROR)
        elif stream_id in self._partial or stream_id in self._held:
            self._credit[stream_id] = self._credit.get(stream_id, 0) + increment
        else:
            return
        self._send_blocked()

    def send_ping(self, payload: bytes) -> None:
        self.out.append(f.pack_ping(payload))

    def goaway(self, error_code: int, debug: bytes = b"", *, last_stream_id: int | None = None) -> None:
        """Streams above `last_stream_id` (default: the last one received) are ignored from now on.

        2^31-1 announces without refusing anything (RFC 9113 §6.8). Does not close; see `drain` and `close`.
        """
        last = self.last_stream_id if last_stream_id is None else last_stream_id
        self.out.append(f.pack_goaway(last, error_code, debug))
        self.going_away = True
        if last < f.LARGEST_STREAM_ID:
            self._last_accepted = last if self._last_accepted is None else min(last, self._last_accepted)
            for stream_id in [sid for sid in (*self._partial, *self._held) if sid > last]:
                self._forget(stream_id)

    def drain(self) -> None:
        """Closes once everything at or below the last GOAWAY is answered, plus two seconds for the client to read."""
        self._lingering = True

    def freeze(self, frozen: bool) -> None:
        """Half-open: neither reads nor writes until thawed."""
        self._frozen = frozen
        if self.transport is None or self._ended:
            return
        if frozen:
            self.transport.pause_reading()
        else:
            self.transport.resume_reading()
            self.flush()

    def flush(self) -> None:
        """Writes what is queued, in one write."""
        self.answered = 0
        if self._frozen or self._ended or self.transport is None:
            return
        if self.out:
            self.transport.write(b"".join(self.out))
            self.out.clear()
        if self._unsent_limit is not None:
            self._unacknowledged.append(self._unsent_limit)
            self._limit = max(self._limit, self._unsent_limit)
            self._unsent_limit = None
        if self._lingering and not self._held and not self._partial:
            self._lingering = False
            asyncio.get_running_loop().call_later(_LINGER_SECONDS, self.close)

    def close(self) -> None:
        """Flushes and closes; the transport still writes what it has."""
        if self.transport is not None and not self._ended:
            self.flush()
            self.transport.close()

    def abort(self) -> None:
        """Drops the connection without a word (TCP reset); what was received behind it is not looked at."""
        self._cut = True
        if self.transport is not None:
            self.transport.abort()
