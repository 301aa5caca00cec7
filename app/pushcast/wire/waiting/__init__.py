"""What the keeper holds: rows of `push.user.v1` and the records that bring and release them."""
