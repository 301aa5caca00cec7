"""SETTLE: sends again what waited long enough, and ends what is past its expiry by then."""
