"""REPORT: what became of every notification and broadcast, kept as sums and as one row for each delivery.

The store of a partition is a function of the logs that it was made from: copies, restarts and any order between topics
give the same bytes (tests/laws/test_report.py).
"""
