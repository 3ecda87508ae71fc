"""Benchmarks: what is measured behind the figures of docs/. They run from a checkout and are not in the wheel."""
