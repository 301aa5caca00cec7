"""Simulated Expo push service: tickets, and receipts that come later."""
