"""aiokafka's client as a fetcher uses it: fetches are incremental where the broker takes that."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Final

from aiokafka.protocol.fetch import FetchRequest

from pushcast.transport.fetch_session import SESSION_ID_NOT_FOUND, Ask, FetchSession

logger = logging.getLogger(__name__)

#: From this version on a request may name a session.
_SESSIONS_FROM: Final = 7
#: After a broker has refused a request that names everything.
AGAIN_SECONDS: Final = 0.1


class IncrementalFetch(FetchRequest):
    """A request that names what has changed. `topics` are still all that are read: answers are held against them."""

    def __init__(self, whole: FetchRequest, ask: Ask) -> None:
        super().__init__(
            whole._max_wait_ms, whole._min_bytes, whole._max_bytes, whole._isolation_level, whole.topics, whole._rack_id
        )
        self._ask = ask

    def build(self, request_struct_class: Any) -> Any:
        """See `Request`. Of a broker that knows no sessions: the whole."""
        if request_struct_class.API_VERSION < _SESSIONS_FROM:
            return super().build(request_struct_class)
        changed = FetchRequest(
            self._max_wait_ms,
            self._min_bytes,
            self._max_bytes,
            self._isolation_level,
            self._ask.topics,  # type: ignore[arg-type]  # sequences will do
            self._rack_id,
        )
        built: Any = changed.build(request_struct_class)
        built.session_id, built.session_epoch = self._ask.session_id, self._ask.epoch
        built.forgotten_topics_data = self._ask.forgotten
        return built


class FetchClient:
    """In place of the client of one fetcher, which has one request at a broker at a time. On the consumer's thread."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._sessions: dict[Any, FetchSession] = {}  # by broker
        self._assignment: object = None
        self._is_told = False

    def follow(self, assignment: object) -> None:
        """Before each round of fetches. Under another assignment nothing is known of any partition, and where its log
        ends is told by its first answer alone: sessions begin anew."""
        if assignment is not self._assignment:
            self._assignment = assignment
            for session in self._sessions.values():
                session.lost()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    async def send(self, node_id: Any, request: Any, **more: Any) -> Any:
        """See aiokafka's. A partition that an answer leaves out has nothing new."""
        if type(request) is not FetchRequest:
            return await self._client.send(node_id, request, **more)
        session = self._sessions.get(node_id)
        if session is None:
            session = self._sessions[node_id] = FetchSession()
        ask = session.ask(request.topics)
        try:
            response = await self._client.send(node_id, IncrementalFetch(request, ask), **more)
        except BaseException:
            session.lost()
            raise
        if response.API_VERSION < _SESSIONS_FROM:
            return response
        session.answered(response.error_code, response.session_id)
        if response.error_code:
            await self._refused(node_id, response.error_code, is_whole=not ask.epoch)
        return response

    async def _refused(self, node_id: Any, error_code: int, *, is_whole: bool) -> None:
        if error_code != SESSION_ID_NOT_FOUND and not self._is_told:
            self._is_told = True
            logger.warning("broker %s refused a fetch with error %d; it is asked anew", node_id, error_code)
        if is_whole:
            await asyncio.sleep(AGAIN_SECONDS)
