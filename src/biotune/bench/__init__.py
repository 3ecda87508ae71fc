"""Benchmarks: what is measured behind the figures of ``docs/performance.md``. Each is one module and knows no other."""
