"""What `gateway.connections` takes from aiohttp without its promise: a release that changes it must not pass."""

from __future__ import annotations

import inspect

from aiohttp import web
from aiohttp.base_protocol import BaseProtocol
from aiohttp.web_protocol import RequestHandler


def test_a_server_makes_its_connections_by_calling_itself() -> None:
    assert "return RequestHandler(self, loop=self._loop, **self._kwargs)" in inspect.getsource(web.Server.__call__)


def test_a_connection_knows_whether_a_request_is_in_progress() -> None:
    text = inspect.getsource(RequestHandler)
    for name in ("_messages", "_request_in_progress", "_current_request"):
        assert f"self.{name}" in text, name
    assert "self._request_in_progress = True" in inspect.getsource(RequestHandler._handle_request)
    assert "self._messages.append((msg, payload))" in inspect.getsource(RequestHandler.data_received)


def test_errors_of_the_parser_are_answered_by_handle_error() -> None:
    assert "self.handle_error(" in inspect.getsource(RequestHandler._make_error_handler)


async def test_a_runner_makes_its_server_from_the_application() -> None:
    assert "self._app._make_handler(loop=loop, **self._kwargs)" in inspect.getsource(web.AppRunner._make_server)
    server = web.Server(lambda _: None)  # type: ignore[arg-type,return-value]
    assert {"request_handler", "request_factory"} <= vars(server).keys()


def test_a_request_that_is_answered_at_once_leaves_the_task_of_its_connection_waiting() -> None:
    received, started = inspect.getsource(RequestHandler.data_received), inspect.getsource(RequestHandler.start)
    assert "waiter.set_result(None)" in received
    assert "waiter = self._waiter" in received
    assert "await self._waiter" in started
    assert "message, payload = self._messages.popleft()" in started
    assert "self._parser.message_consumed()" in started
    assert "self._next_keepalive_close_time" in inspect.getsource(RequestHandler._process_keepalive)
    for name in ("_paused", "_reading_paused", "_buffer_paused"):
        assert f"self.{name}" in inspect.getsource(BaseProtocol), name
