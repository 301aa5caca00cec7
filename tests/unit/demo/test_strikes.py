"""What a killed sender may have sent twice: read from pages and counters as they are written."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any, cast

import pytest

from pushcast.demo.simulated import Simulated
from pushcast.demo.strikes import Exposure, added_up, expose
from pushcast.runtime.whereabouts import Whereabouts

PAGE = """\
# HELP pushcast_in_flight_deliveries Deliveries at the provider or not yet acknowledged.
# TYPE pushcast_in_flight_deliveries gauge
pushcast_in_flight_deliveries{app="news",platform="apns"} 30.0
pushcast_in_flight_deliveries{app="chat",platform="fcm"} 12.0
pushcast_in_flight_deliveries_limit 10000.0
pushcast_outbox_records 5.0
"""


class Counting:
    """A simulator whose answers stand in a list; the last one stays."""

    def __init__(self, *accepted: int) -> None:
        self._accepted = list(accepted)

    def stats(self) -> dict[str, Any]:
        return {"accepted": self._accepted.pop(0) if len(self._accepted) > 1 else self._accepted[0]}


@pytest.fixture
def sender() -> Any:
    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(PAGE.encode())

        def log_message(self, *_: Any) -> None:
            """Silent."""

    server = HTTPServer(("127.0.0.1", 0), Page)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield Whereabouts("sender-bulk", 1, "127.0.0.1", server.server_port)
    server.shutdown()
    thread.join()
    server.server_close()


def test_samples_of_one_name_are_added_up_and_names_that_begin_alike_are_not() -> None:
    page = added_up(PAGE)
    assert page["pushcast_in_flight_deliveries"] == 42
    assert page["pushcast_in_flight_deliveries_limit"] == 10_000
    assert page["pushcast_outbox_records"] == 5


def test_samples_can_be_picked_by_a_label() -> None:
    assert added_up(PAGE, 'platform="fcm"') == {"pushcast_in_flight_deliveries": 12}


def test_the_bound_is_what_the_sender_held_and_what_was_accepted_until_it_was_dead(sender: Whereabouts) -> None:
    struck: list[bool] = []
    simulators = [cast(Simulated, Counting(100, 107, 107)), cast(Simulated, Counting(50, 50))]
    found = expose(sender, simulators, lambda: struck.append(True))
    assert struck == [True]
    assert found == Exposure("sender-bulk", in_flight_at_provider=37, unacknowledged=5, accepted_since=7)
    assert found.bound == 49


def test_what_arrives_from_the_kernel_after_the_death_is_waited_for(sender: Whereabouts) -> None:
    found = expose(sender, [cast(Simulated, Counting(0, 3, 8, 11, 11))], lambda: None)
    assert found.accepted_since == 11
