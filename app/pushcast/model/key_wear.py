"""How often a key of the keyring may seal. Nonces are random, 96 bits: NIST SP 800-38D allows 2^32 of them to a key."""

from __future__ import annotations

from typing import Final

MOST_SEALS: Final = 2**32
#: From so many on another key must seal. Ten million devices with new tokens every two weeks take eight years.
ALARM_SEALS: Final = 2**31
