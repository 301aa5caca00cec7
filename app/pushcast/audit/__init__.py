"""The reckoning: what was planned against what ended, from the topics alone."""
