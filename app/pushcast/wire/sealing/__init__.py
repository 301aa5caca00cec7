"""Tokens under keys: the keyring, who holds which key, how one takes another's place."""
