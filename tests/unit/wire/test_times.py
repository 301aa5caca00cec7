"""Times are written as RFC 3339, exact to the millisecond."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from pushcast.wire.times import MAX_MS, rfc3339, to_ms


@given(st.integers(-62_135_596_800_000, MAX_MS) | st.integers(1_700_000_000_000, 1_900_000_000_000))
def test_a_time_is_written_as_it_is(ms: int) -> None:
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms)
    assert rfc3339(ms) == moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


@given(st.integers(1_700_000_000_000, 1_900_000_000_000))
def test_a_time_of_these_years_is_read_back_as_it_was_written(ms: int) -> None:
    assert to_ms(rfc3339(ms), "at", 0) == ms


@given(st.integers(0, MAX_MS), st.sampled_from(("", "9", "0004999", "999999")))
def test_a_time_is_read_to_the_millisecond_that_has_begun_and_never_rounded_up(ms: int, more: str) -> None:
    assert to_ms(rfc3339(ms).replace("Z", f"{more}Z"), "at", 0) == ms


@given(st.integers(max_value=-62_135_596_800_001) | st.integers(MAX_MS + 1))
def test_a_time_that_rfc_3339_cannot_say_is_the_first_or_last_that_it_can(ms: int) -> None:
    """Headers of dead letters and records of others hold any number: a list of many failed for one."""
    assert rfc3339(ms) == ("0001-01-01T00:00:00.000Z" if ms < 0 else "9999-12-31T23:59:59.999Z")
