"""Exact hand-over of a source partition between processes: claim, fence, own tail; and the sender's ledger.

Everything here but `runner` is pure. The laws in tests/laws/test_handover.py and test_ledger.py drive this code through
crashes, zombies and delayed writes.
"""
