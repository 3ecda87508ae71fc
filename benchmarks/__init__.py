"""Benchmarks that measure the figures in docs/. They run from a checkout and are not in the wheel."""
