"""SEND: multicast batches of one (platform, lane) to the providers of their apps, and a receipt for every delivery."""
