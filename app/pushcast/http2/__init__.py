"""The multicast HTTP/2 engine (RFC 9113, RFC 7541): one encoded request serves a whole batch of targets."""
