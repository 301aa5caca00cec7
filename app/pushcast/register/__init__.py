"""REGISTER: device changes and invalid tokens in, device rows out. The only writer of `push.device.v1`."""
