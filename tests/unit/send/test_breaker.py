from __future__ import annotations

from random import Random

import pytest

from pushcast.providers.breadth import Witness
from pushcast.providers.port import Disposition, Result
from pushcast.send.abnormal import Limits
from pushcast.send.breaker import Breaker, BreakerState, Turn
from pushcast.send.tally import Tally

LIMITS = Limits()
FIELDS = {"failed": "failing", "invalid": "dead", "refused": "refusing", "doubted": "doubting"}
SHARES = Limits(invalid_in_a_row=1_000)
T0 = 1_800_000_000_000
COUNTED_LATE_MS = 2000

ANYBODY = Witness(b"t", "u", 1)


def of_many(count: int, first: int = 0, *, users: int = 10**6, records: int = 10**6, sites: int = 0) -> list[Witness]:
    """Bad answers of so many tokens, and of at most so many users, records and push services."""
    return [
        Witness(b"%d" % n, f"u{n % users}", n % records, f"site{n % sites}" if sites else "")
        for n in range(first, first + count)
    ]


class World:
    """A breaker and a clock. Nothing is random but the jitter, whose bounds are known."""

    def __init__(self, limits: Limits = LIMITS) -> None:
        self.breaker = Breaker(limits, Random(3))
        self.now = 1000.0
        self.seen = 0

    @property
    def now_ms(self) -> int:
        return T0 + round((self.now - 1000) * 1000)

    def pass_(self, seconds: float) -> None:
        self.now += seconds

    def tally(self, tally: dict[str, int | str], again: list[str]) -> Tally:
        """Each bad answer of another token, user and record, unless the test names them."""
        found = Tally(**tally)  # type: ignore[arg-type]  # a shorthand
        for name, count in tally.items():
            if name in FIELDS and not getattr(found, FIELDS[name]):
                witnesses = of_many(int(count), self.seen)
                self.seen += int(count)
                if again:
                    witnesses = [
                        each._replace(user=again[n % len(again)], again=True) for n, each in enumerate(witnesses)
                    ]
                setattr(found, FIELDS[name], witnesses)
        return found

    def note(self, **tally: int | str) -> Turn | None:
        return self.breaker.note(self.tally(tally, []), self.now, self.now_ms)

    def note_of(self, witnesses: list[Witness], kind: str = "invalid", **tally: int | str) -> Turn | None:
        """Bad answers of these."""
        found = Tally(**{kind: len(witnesses), FIELDS[kind]: witnesses}, **tally)  # type: ignore[arg-type]  # a shorthand
        return self.breaker.note(found, self.now, self.now_ms)

    def probes(self, wanted: int = 100) -> int:
        return self.breaker.probes(wanted, self.now)

    def answered(self, again: list[str] | None = None, **tally: int) -> Turn | None:
        """`again`: whose work was refused before."""
        return self.breaker.note_probes(self.tally(dict(tally), again or []), self.now)

    def open(self) -> None:
        assert self.note(refused=1, refusal="expired_key") is Turn.OPENED

    def wait_for_probes(self) -> int:
        """Until some are granted; returns how many."""
        for _ in range(1000):
            granted = self.probes()
            if granted:
                return granted
            self.pass_(0.5)
        raise AssertionError("no probes")


def tally(*results: Result) -> Tally:
    found = Tally()
    for result in results:
        found.add(result, ANYBODY)
    return found


def test_results_are_counted_by_what_they_say_of_the_provider() -> None:
    found = tally(
        Result(0, Disposition.REJECTED),
        Result(1, Disposition.INVALID),
        Result(2, Disposition.CREDENTIAL, "expired_key"),
        Result(3, Disposition.RETRY, status=503),
        Result(4, Disposition.UNSENT),
        Result(5, Disposition.UNKNOWN),
        Result(6, Disposition.RETRY, status=429),
        Result(7, Disposition.CREDENTIAL, "mass_invalid_tokens"),
        Result(8, Disposition.RETRY, "third_party_credential_refused", 401),
        Result(9, Disposition.RETRY, "project_unknown", 404),
    )
    numbers = (found.sound, found.failed, found.invalid, found.refused, found.slowed, found.doubted)
    assert numbers == (2, 3, 2, 1, 1, 1)
    assert (found.refusal, found.doubt, found.masses) == ("expired_key", "project_unknown", True)
    lists = (found.failing, found.dead, found.refusing, found.doubting)
    assert [len(each) for each in lists] == [3, 2, 1, 1]


def test_a_refused_key_opens_at_once_when_nothing_else_works() -> None:
    world = World()
    assert world.note(sound=50) is None
    world.pass_(20)
    assert world.note(refused=1, refusal="expired_key") is Turn.OPENED
    assert (world.breaker.state, world.breaker.reason) == (BreakerState.OPEN, "expired_key")
    assert not world.breaker.doubts_tokens


def test_a_refused_key_among_many_that_are_taken_opens_nothing() -> None:
    world = World()
    assert world.note(sound=50, refused=10, refusal="bad_topic") is None
    assert world.breaker.closed


def test_disbelieved_tokens_open_at_once_and_put_tokens_in_doubt() -> None:
    world = World()
    world.note(sound=1000)
    assert world.note(invalid=20, masses=True) is Turn.OPENED
    assert world.breaker.reason == "mass_invalid_tokens"
    assert world.breaker.doubts_tokens


def test_failures_open_only_when_they_last() -> None:
    world = World()
    assert world.note(failed=1000) is None
    world.pass_(LIMITS.sustained_seconds)
    assert world.note(failed=1) is Turn.OPENED
    assert world.breaker.reason == "provider_failing"
    assert world.breaker.abnormal_since_ms == T0 - COUNTED_LATE_MS


@pytest.mark.parametrize(
    ("sound", "failed", "opens"), [(100, 99, False), (100, 100, True), (0, 49, False), (0, 50, True)]
)
def test_failures_open_at_their_share_of_enough_answers(sound: int, failed: int, opens: bool) -> None:
    world = World()
    world.note(sound=sound, failed=failed - 1)
    world.pass_(LIMITS.sustained_seconds)
    assert (world.note(failed=1) is Turn.OPENED) is opens


def test_failures_of_long_ago_do_not_count() -> None:
    world = World()
    world.note(failed=1000)
    world.pass_(LIMITS.failure_seconds + 1)
    assert world.note(failed=49) is None


def test_being_asked_to_slow_down_is_no_failure() -> None:
    world = World()
    for _ in range(20):
        assert world.note(slowed=1000) is None
        world.pass_(1)


def test_invalid_tokens_open_at_an_abnormal_share_and_the_window_began_with_the_first() -> None:
    world = World(SHARES)
    world.note(sound=10)
    world.pass_(5)
    assert world.note(invalid=39) is None
    world.pass_(5)
    assert world.note(invalid=1) is Turn.OPENED
    assert (world.breaker.reason, world.breaker.doubts_tokens) == ("tokens_invalid", True)
    assert world.breaker.abnormal_since_ms == T0 + 5000 - COUNTED_LATE_MS
    assert world.breaker.opened_at_ms == T0 + 10_000


def test_the_abnormal_window_began_with_the_last_sound_answer_however_long_ago() -> None:
    world = World(SHARES)
    world.note(sound=1000)
    for _ in range(10):
        world.pass_(50)
        assert world.note(invalid=20) is None
    assert world.note(invalid=30) is Turn.OPENED
    assert world.breaker.abnormal_since_ms == T0 + 50_000 - COUNTED_LATE_MS


def test_a_normal_share_of_invalid_tokens_opens_nothing() -> None:
    world = World()
    for _ in range(100):
        assert world.note(sound=40, invalid=60) is None
        world.pass_(1)


def test_a_sudden_wave_of_invalid_tokens_opens_however_much_went_well_in_the_minute_before() -> None:
    world = World()
    for _ in range(30):
        assert world.note(sound=200, invalid=2) is None
        world.pass_(1)
    # A suspended device gets no pushes: 150 tokens are each called invalid once, and then nothing comes any more.
    assert world.note(sound=10, invalid=35) is None
    world.pass_(1)
    assert world.note(invalid=100) is Turn.OPENED
    assert world.breaker.reason == "tokens_invalid"


def test_few_invalid_tokens_in_a_row_open_however_slowly_they_come() -> None:
    world = World()
    for _ in range(40):  # a good one between: an app with old tokens
        assert world.note(invalid=10) is None
        assert world.note(sound=5) is None
    for _ in range(19):
        world.pass_(120)
        assert world.note(invalid=1) is None
    world.pass_(120)
    assert world.note(invalid=1) is Turn.OPENED
    assert world.breaker.reason == "tokens_invalid"
    assert world.breaker.opened_at_ms - world.breaker.abnormal_since_ms == 19 * 120_000 + COUNTED_LATE_MS


def test_the_share_above_one_switches_it_off() -> None:
    world = World(Limits(invalid_share=1.1))
    assert world.note(invalid=10_000) is None


def test_open_it_lets_nothing_out_until_its_interval_is_over_and_then_a_few() -> None:
    world = World()
    world.open()
    assert world.probes() == 0
    world.pass_(LIMITS.open_seconds * 0.7)
    assert world.probes() == 0
    world.pass_(LIMITS.open_seconds * 0.6)
    assert world.probes(5) == 5
    assert world.probes(100) == 15
    assert world.probes() == 0
    assert world.breaker.state is BreakerState.HALF_OPEN


def test_a_round_that_most_survive_closes_it() -> None:
    world = World()
    world.open()
    assert world.wait_for_probes() == 20
    assert world.answered(sound=10) is None
    assert world.answered(failed=9) is None
    assert world.answered(sound=1) is Turn.CLOSED
    assert world.breaker.closed
    assert world.probes() == 0


def test_a_round_that_half_fails_leaves_it_open_for_twice_as_long() -> None:
    world = World()
    world.open()
    intervals = []
    for _ in range(8):
        since = world.now
        granted = world.wait_for_probes()
        intervals.append(world.now - since)
        assert world.answered(failed=granted // 2, sound=granted // 2) is None
        assert world.breaker.state is BreakerState.OPEN
    for round_, interval in enumerate(intervals):
        expected = min(LIMITS.max_open_seconds, LIMITS.open_seconds * 2**round_)
        assert 0.75 * expected <= interval <= 1.25 * expected + 0.5


def test_invalid_tokens_are_bad_probes_only_where_tokens_are_in_doubt() -> None:
    world = World()
    world.open()
    assert world.answered(invalid=world.wait_for_probes()) is Turn.CLOSED
    world.pass_(1000)
    world.note(refused=1, refusal="mass_invalid_tokens")
    assert world.answered(invalid=world.wait_for_probes()) is None
    assert world.breaker.state is BreakerState.OPEN


def test_a_round_whose_answers_do_not_come_is_given_up() -> None:
    world = World()
    world.open()
    assert world.wait_for_probes() == 20
    world.pass_(LIMITS.probe_seconds - 0.1)
    assert world.probes() == 0
    world.pass_(0.2)
    assert world.probes() == 20


def test_probes_that_did_not_leave_are_granted_again() -> None:
    world = World()
    world.open()
    world.wait_for_probes()
    world.breaker.forgo(18)
    assert world.answered(sound=2) is Turn.CLOSED


def test_answers_to_what_left_before_it_opened_change_nothing() -> None:
    world = World()
    world.open()
    assert world.note(sound=1000) is None
    assert world.answered(sound=1000) is None
    assert world.breaker.state is BreakerState.OPEN


def test_one_that_opens_again_soon_waits_longer() -> None:
    world = World()
    world.open()
    world.answered(sound=world.wait_for_probes())
    world.pass_(1)
    world.open()
    world.pass_(LIMITS.open_seconds * 1.3)
    assert world.probes() == 0
    world.pass_(LIMITS.open_seconds * 1.3)
    assert world.probes() == 20


def test_the_word_of_another_opens_it_and_it_probes_almost_at_once() -> None:
    world = World()
    world.breaker.heard_open("expired_key", T0 - 7000, world.now, world.now_ms)
    assert (world.breaker.state, world.breaker.abnormal_since_ms) == (BreakerState.OPEN, T0 - 7000)
    world.pass_(1.1)
    assert world.probes() == 20
    assert world.answered(sound=20) is Turn.CLOSED


def test_the_word_of_another_closes_only_one_that_believed_the_word_of_another() -> None:
    careful, sure = World(), World()
    careful.breaker.heard_open("expired_key", T0, careful.now, careful.now_ms)
    careful.breaker.heard_closed(careful.now)
    assert careful.breaker.closed
    sure.open()
    sure.breaker.heard_closed(sure.now)
    assert sure.breaker.state is BreakerState.OPEN
    assert sure.probes() == 20, "but it looks for itself at once"


def test_one_that_is_open_already_and_hears_that_tokens_are_refused_does_not_take_that_for_health() -> None:
    world = World()
    world.breaker.heard_open("provider_failing", T0 - 7000, world.now, world.now_ms)
    assert not world.breaker.doubts_tokens
    world.breaker.heard_open("tokens_invalid", T0 - 3000, world.now, world.now_ms)
    assert world.breaker.doubts_tokens
    assert world.breaker.abnormal_since_ms == T0 - 7000
    world.pass_(1)
    assert world.probes(20) == 20
    assert world.answered(invalid=20) is None
    assert world.breaker.state is BreakerState.OPEN
    world.breaker.heard_open("provider_failing", T0, world.now, world.now_ms)
    assert world.breaker.doubts_tokens


def test_another_that_saw_it_earlier_moves_the_window_back() -> None:
    world = World()
    world.pass_(100)
    world.open()
    world.breaker.heard_open("expired_key", T0 + 50, world.now, world.now_ms)
    assert world.breaker.abnormal_since_ms == T0 + 50
    world.breaker.heard_open("expired_key", T0 + 90, world.now, world.now_ms)
    assert world.breaker.abnormal_since_ms == T0 + 50


@pytest.mark.parametrize("wanting", [{"users": 1}, {"users": 9}, {"records": 2}, {"sites": 2}])
@pytest.mark.parametrize("kind", ["invalid", "masses", "doubted"])
def test_what_few_users_records_or_push_services_saw_opens_nothing_however_often(
    kind: str, wanting: dict[str, int]
) -> None:
    world = World()
    for round_ in range(50):
        if kind == "masses":
            assert world.note_of(of_many(25, 25 * round_, **wanting), masses=True) is None
        else:
            assert world.note_of(of_many(25, 25 * round_, **wanting), kind) is None
        world.pass_(1)


@pytest.mark.parametrize("kind", ["invalid", "doubted"])
def test_the_same_few_tokens_over_and_over_open_nothing(kind: str) -> None:
    world = World()
    for _ in range(50):
        witnesses = [each._replace(record=world.now) for each in of_many(19)]
        assert world.note_of(witnesses, kind) is None
        world.pass_(1)


def test_failures_of_one_user_or_at_two_push_services_open_nothing() -> None:
    for witnesses in (of_many(100, users=1), of_many(100, sites=2)):
        world = World()
        for _ in range(10):
            assert world.note_of(witnesses, "failed") is None
            world.pass_(1)


def test_tokens_of_just_enough_users_in_just_enough_records_open() -> None:
    for witnesses in (of_many(20, users=10, records=3), of_many(20, users=10, records=3, sites=3)):
        world = World()
        assert world.note_of(witnesses[:19]) is None
        assert world.note_of(witnesses[19:]) is Turn.OPENED
        assert world.breaker.reason == "tokens_invalid"


def test_a_project_that_many_say_is_unknown_opens_and_one_taken_push_between_refutes_it() -> None:
    world = World()
    assert world.note(doubted=19, doubt="project_unknown") is None
    assert world.note(sound=1) is None
    assert world.note(doubted=19, doubt="project_unknown") is None
    assert world.note(doubted=1, doubt="project_unknown") is Turn.OPENED
    assert world.breaker.reason == "project_unknown"
    assert not world.breaker.doubts_tokens


def test_a_round_of_what_one_user_had_refused_before_proves_nothing_and_the_next_work_is_asked_at_once() -> None:
    world = World()
    world.open()
    world.wait_for_probes()
    world.breaker.forgo(19)
    assert world.answered(["anna"], failed=1) is None
    assert world.probes(1) == 1, "without a longer interval"
    assert world.answered(sound=1) is Turn.CLOSED


def test_with_one_user_left_it_closes_by_time() -> None:
    world = World()
    world.open()
    opened_at = world.now
    for _ in range(100):
        world.pass_(5)
        if world.probes(1) and world.answered(["anna"], failed=1) is Turn.CLOSED:
            break
    assert LIMITS.max_open_seconds <= world.now - opened_at <= LIMITS.max_open_seconds + 5


def test_refused_work_of_two_users_keeps_it_open() -> None:
    world = World()
    world.open()
    for _ in range(100):
        granted = world.wait_for_probes()
        assert world.answered(["anna", "ben"], failed=granted) is None


def test_one_probe_that_was_not_refused_before_is_proof_enough() -> None:
    world = World()
    world.open()
    for _ in range(30):
        world.wait_for_probes()
        world.breaker.forgo(19)
        assert world.answered(failed=1) is None
        assert world.probes(1) == 0, "the interval begins anew"
