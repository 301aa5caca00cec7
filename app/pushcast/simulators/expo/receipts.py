"""Receipts: known from the ticket on, readable after a delay, gone after a day (the simulator's clock)."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, Final

# Expo, "Sending notifications: push receipts": deleted after 24 hours.
KEPT_SECONDS: Final = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class _Receipt:
    at: float
    error: str | None
    token: str


class Receipts:
    """Keeps at most `limit`, the oldest go first."""

    def __init__(self, limit: int = 500_000) -> None:
        self._limit = limit
        self._receipts: OrderedDict[str, _Receipt] = OrderedDict()

    def clear(self) -> None:
        self._receipts.clear()

    def put(self, ticket_id: str, token: str, error: str | None, now: float) -> None:
        self._receipts[ticket_id] = _Receipt(now, error, token)
        if len(self._receipts) > self._limit:
            self._receipts.popitem(last=False)

    def read(self, ids: list[str], now: float, delay_seconds: float) -> dict[str, Any]:
        """What is ready; unknown, pending and deleted ids are left out, as Expo does."""
        found: dict[str, Any] = {}
        for ticket_id in ids:
            receipt = self._receipts.get(ticket_id)
            late = delay_seconds * 10 if receipt is not None and "late-" in receipt.token else delay_seconds
            if receipt is None or not late <= now - receipt.at < KEPT_SECONDS:
                continue
            found[ticket_id] = {"status": "ok"} if receipt.error is None else error_entry(receipt.error, receipt.token)
        return found


_MESSAGES: Final = {
    "DeviceNotRegistered": "The recipient device is not registered with FCM.",
    "MessageTooBig": "The notification payload was too large.",
    "MessageRateExceeded": "You are sending too many messages to this device.",
    "MismatchSenderId": "There is an issue with your FCM push credentials.",
    "InvalidCredentials": "The APNs credentials are invalid (InvalidProviderToken).",
    "DeveloperError": "The project is not configured for push notifications.",
    "ExpoError": "An unknown error occurred at Expo.",
    "ProviderError": "The push provider answered with an error.",
}


def error_entry(error: str, token: str) -> dict[str, Any]:
    """The entry of a ticket or receipt that failed."""
    message = f'"{token}" is not a registered push notification recipient' if error == "DeviceNotRegistered" else None
    return {
        "status": "error",
        "message": message or _MESSAGES.get(error, error),
        "details": {"error": error, "expoPushToken": token},
    }
