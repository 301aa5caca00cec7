from __future__ import annotations

from pushcast.http2.queue import WorkQueue
from pushcast.http2.request import Kind, Response
from pushcast.http2.streams import Streams
from unit.http2.wire import make_job

OK = Response(Kind.ANSWERED, 200)


def make_streams() -> tuple[Streams, WorkQueue]:
    queue = WorkQueue(max_waiting=100, max_in_flight=100, on_error=lambda error: None)
    return Streams(queue), queue


def test_requests_get_odd_ids_in_order() -> None:
    streams, _ = make_streams()
    sent = make_job(5)
    assert [streams.open(sent.job, indices, 0.0).first_id for indices in ([0, 1], [4])] == [1, 5]
    assert sorted(streams.in_flight) == [1, 3, 5]
    assert [streams.remove(stream_id)[1] for stream_id in (3, 5, 1)] == [1, 4, 0]
    assert (streams.in_flight, streams.bursts) == ({}, {})


def test_outcomes_are_handed_over_in_one_list_per_job() -> None:
    streams, _ = make_streams()
    sent, other = make_job(3), make_job(1)
    streams.open(sent.job, [0, 1, 2], 0.0)
    streams.open(other.job, [0], 0.0)
    for stream_id in (5, 7, 1):
        streams.finish(stream_id, OK)
    assert sent.job.unfinished == 3
    streams.deliver()
    assert (sent.job.unfinished, other.job.unfinished) == (1, 0)
    assert sent.kinds() == {"answered": 2}


def test_the_queue_hears_how_many_are_out_on_all_connections() -> None:
    queue = WorkQueue(max_waiting=100, max_in_flight=100, on_error=lambda error: None)
    here, there = Streams(queue), Streams(queue)
    sent = make_job(5)
    here.open(sent.job, [0, 1, 2], 0.0)
    there.open(sent.job, [3, 4], 0.0)
    here.count()
    there.count()
    assert queue.in_flight == 5
    here.finish(1, OK)
    here.count()
    here.count()
    assert queue.in_flight == 4


def test_streams_are_found_by_request_and_by_deadline() -> None:
    streams, _ = make_streams()
    early, late = make_job(3, timeout_seconds=10.0), make_job(2, timeout_seconds=20.0)
    streams.open(early.job, [0, 1, 2], 0.0)
    streams.open(late.job, [0, 1], 0.0)
    assert list(streams.of(early.job, {1, 2, 7})) == [3, 5]
    streams.remove(3)
    assert list(streams.of(early.job, {1, 2})) == [5]
    for stream_id in streams.late(10.0):
        streams.remove(stream_id)
    assert sorted(streams.in_flight) == [7, 9]
