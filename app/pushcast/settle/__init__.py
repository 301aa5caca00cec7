"""SETTLE: sends again what waited long enough or was kept aside, and ends what is past its expiry by then."""
