"""Benchmarks: what is measured behind the figures of ``docs/performance.md``. None knows another."""
