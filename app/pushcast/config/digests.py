"""`classes.<name>.digest`: notifications of a user that leave together."""

from __future__ import annotations

from typing import Annotated, Final, Literal, Self

from pydantic import Field, field_validator, model_validator

from pushcast.config.strict import Strict
from pushcast.model.digest import PLACES, DigestRule
from pushcast.model.zones import reading_of

DAY_SECONDS: Final = 86_400


class Digest(Strict):
    """What gathers, for how long, and what is shown. Either `window_seconds` or `at`."""

    window_seconds: int | None = Field(default=None, ge=1, le=604_800)  # from the first one's Kafka time on
    at: tuple[str, ...] = ()  # times of the day in the user's zone instead, HH:MM
    key: Literal["digest_key", "thread_id", "none"] = "none"  # what members share besides user, app and class
    max_events: int = Field(default=100, ge=2, le=500)  # with so many it leaves at once
    list: int = Field(default=20, ge=0, le=100)  # ids in the push, the newest, at most 1,024 bytes of them
    first: Literal["wait", "send"] = "wait"  # send: the first leaves at once, and opens a digest for the rest
    # {count}, {first_title}, {last_title} and {app} are filled in.
    title: Annotated[str, Field(min_length=1, max_length=200)] = "{last_title}"
    # Shown when several leave together; {count} is their number.
    body: Annotated[str, Field(max_length=500)] = "{count} new"

    @field_validator("at")
    @classmethod
    def _times_of_day(cls, at: tuple[str, ...]) -> tuple[str, ...]:
        if len(at) > 24:
            raise ValueError("at most 24 times")
        for text in at:
            reading = reading_of(text)
            if reading is None or reading.day is not None:
                raise ValueError(f"{text!r} is no time of day: 08:00")
        return at

    @field_validator("title", "body")
    @classmethod
    def _known_places(cls, text: str) -> str:
        for part in text.split("{")[1:]:
            if part.partition("}")[0] not in PLACES:
                raise ValueError(
                    f"texts may hold {', '.join('{' + place + '}' for place in PLACES)} and no other brace"
                )
        return text

    @model_validator(mode="after")
    def _one_kind_of_time(self) -> Self:
        if (self.window_seconds is None) == (not self.at):
            raise ValueError("set either window_seconds or at")
        return self

    @property
    def must_know_seconds(self) -> int:
        """So long the keeper must know what it let go: one that was sent at once would join the digest that it opened,
        when its id comes again. A day at most, which is usual (`keep.remember_seconds`)."""
        if self.first != "send":
            return 0
        return min(self.window_seconds or DAY_SECONDS, DAY_SECONDS)

    def rule(self, ttl_seconds: int) -> DigestRule:
        """As the keeper has it, of a class with this time to live."""
        sends_first, of_thread = self.first == "send", self.key == "thread_id"
        texts = self.title, self.body
        return DigestRule(ttl_seconds * 1000, self.max_events, self.list, sends_first, *texts, of_thread=of_thread)
