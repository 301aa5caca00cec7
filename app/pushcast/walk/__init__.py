"""WALK: goes through the devices table for a broadcast and plans what its audience is to get, leg by leg."""
