"""Faust side: consumer, commits, recovery and tables that hand a stage the records of one partition at a time."""
