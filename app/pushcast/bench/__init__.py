"""Benchmarks: the process under test apart from the one that loads and measures it, on a real embedded Kafka."""
