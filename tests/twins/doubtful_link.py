"""A way to a broker on which one answer is lost, and batches are refused that the broker never saw.

What happens on it: the batch with `lost` is passed on and written, and its connection ends before the answer. It is
refused when it comes again (NOT_ENOUGH_REPLICAS, as a broker says without its followers). A batch with `refused`, in
another partition, is held until one with `passed` comes behind it; the first is refused then and the second passed on:
the broker refuses that for its number. From then on everything is passed on.
"""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final

from pushcast.kafka.embedded.ports import HOST

_PRODUCE: Final = 0
_NOT_ENOUGH_REPLICAS: Final = 19
_SIZE: Final = struct.Struct(">i")
#: API key, version, correlation id. https://kafka.apache.org/protocol.html#protocol_messages
_HEAD: Final = struct.Struct(">hhi")


@dataclass
class DoubtfulLink:
    """`topic`: of the batches, with the partition of `lost` and that of the others. `port`: the broker's."""

    topic: str
    lost: bytes
    refused: bytes
    passed: bytes
    partitions: tuple[int, int] = (0, 1)
    port: int = 0
    tried_again: threading.Event = field(default_factory=threading.Event)  # the lost one
    holds: threading.Event = field(default_factory=threading.Event)  # the one to be refused
    over: bool = False
    was_lost: bool = False

    @contextmanager
    def listening(self) -> Iterator[int]:
        """Yields the port on which the broker is reached through it; `port` may be set afterwards."""
        with socket.create_server((HOST, 0)) as front:
            threading.Thread(target=self._accept, args=(front,), daemon=True).start()
            yield int(front.getsockname()[1])

    def _accept(self, front: socket.socket) -> None:
        while True:
            try:
                client, _ = front.accept()
            except OSError:
                return
            _start(self._serve, client)

    def _serve(self, client: socket.socket) -> None:
        unanswered: set[int] = set()
        with client, socket.create_connection((HOST, self.port)) as broker:
            _start(self._answer, broker, client, unanswered)
            held: tuple[int, int] | None = None
            for frame in _frames(client):
                api, version, correlation = _HEAD.unpack_from(frame)
                if api == _PRODUCE and not self.over:
                    if self.lost in frame:
                        if self.was_lost:
                            client.sendall(self._refusal(version, correlation, self.partitions[0]))
                            self.tried_again.set()
                            continue
                        self.was_lost = True
                        unanswered.add(correlation)
                    elif self.passed in frame and held is not None:
                        client.sendall(self._refusal(*held, self.partitions[1]))
                        self.over = True
                    elif self.refused in frame:
                        held = version, correlation
                        self.holds.set()
                        continue
                broker.sendall(_SIZE.pack(len(frame)) + frame)

    def _answer(self, broker: socket.socket, client: socket.socket, unanswered: set[int]) -> None:
        for frame in _frames(broker):
            if _SIZE.unpack_from(frame)[0] in unanswered:
                client.shutdown(socket.SHUT_RDWR)
                return
            client.sendall(_SIZE.pack(len(frame)) + frame)

    def _refusal(self, version: int, correlation: int, partition: int) -> bytes:
        """A ProduceResponse of version 9 or 10, for one partition."""
        if version not in (9, 10):
            raise ValueError(f"a ProduceRequest of version {version}")
        name = self.topic.encode()
        refused = struct.pack(">ihqqq", partition, _NOT_ENOUGH_REPLICAS, -1, -1, -1) + b"\1\0\0"
        topics = b"\2" + bytes([len(name) + 1]) + name + b"\2" + refused + b"\0"
        answer = _SIZE.pack(correlation) + b"\0" + topics + _SIZE.pack(0) + b"\0"
        return _SIZE.pack(len(answer)) + answer


def _start(serve: Callable[..., None], *args: Any) -> None:
    """In a thread of its own, until a side is gone. A side may go while the other's bytes are passed on to it."""

    def run() -> None:
        with suppress(OSError):
            serve(*args)

    threading.Thread(target=run, daemon=True).start()


def _frames(side: socket.socket) -> Iterator[bytes]:
    """What comes from one side, until it ends."""
    waiting = b""
    while True:
        while len(waiting) < _SIZE.size or len(waiting) < _SIZE.size + _SIZE.unpack_from(waiting)[0]:
            try:
                more = side.recv(1 << 16)
            except OSError:
                return
            if not more:
                return
            waiting += more
        end = _SIZE.size + _SIZE.unpack_from(waiting)[0]
        yield waiting[_SIZE.size : end]
        waiting = waiting[end:]
