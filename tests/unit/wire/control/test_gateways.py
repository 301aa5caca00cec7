"""Which gateways there are, and that all of them choose the same one for a key."""

from __future__ import annotations

from pushcast.wire.control.gateways import LIVE_SECONDS, GatewayPeer, GatewayPeers, encode, key_of

T = 1_800_000_000_000


class Clock:
    seconds = 100.0


def peers(clock: type[Clock] | Clock = Clock) -> GatewayPeers:
    return GatewayPeers(lambda: clock.seconds, lambda: T)


def say(known: GatewayPeers, instance: str, at: int = T) -> None:
    known.apply(key_of(instance), encode(GatewayPeer(f"http://{instance}:1", at)))


def test_all_choose_the_same_gateway_whatever_they_heard_first_and_keys_are_spread() -> None:
    one, other = peers(), peers()
    for instance in "abc":
        say(one, instance)
    for instance in "cba":
        say(other, instance)
    homes = [one.home_of(f"key-{number}") for number in range(300)]
    assert homes == [other.home_of(f"key-{number}") for number in range(300)]
    shares = [sum(home is not None and home[0] == instance for home in homes) for instance in "abc"]
    assert min(shares) > 50
    assert peers().home_of("key") is None


def test_only_keys_of_the_one_that_went_get_another_home() -> None:
    known = peers()
    for instance in "abc":
        say(known, instance)
    before = {number: known.home_of(f"key-{number}") for number in range(100)}
    known.apply(key_of("c"), None)
    for number, home in before.items():
        assert home is not None
        assert known.home_of(f"key-{number}") == home or home[0] == "c"


def test_one_that_is_silent_or_was_killed_long_ago_counts_for_nobody() -> None:
    clock = Clock()
    known = peers(clock)
    say(known, "old", T - 3_600_000)
    assert known.urls() == {}
    say(known, "a")
    clock.seconds += LIVE_SECONDS + 1
    say(known, "b")
    assert known.urls() == {"b": "http://b:1"}


def test_other_and_malformed_records_change_nothing() -> None:
    known = peers()
    for key, value in [
        (None, b"x"),
        (b"report/1", b"{}"),
        (key_of("a"), b"{"),
        (key_of("a"), b'{"url":"ftp://a","at":1}'),
        (key_of(""), encode(GatewayPeer("http://a:1", T))),
        (b"gateway/\xff", encode(GatewayPeer("http://a:1", T))),
    ]:
        known.apply(key, value)
    assert (known.urls(), known.ignored) == ({}, 4)
