"""Measured figures against their targets: `make bench`, or `python -m benchmarks [NAME...]`.

Every `bench_*.py` has a function `run()` that returns rows. Each benchmark runs in a process of its own,
so that its memory and threads do not affect the figures of another.
"""
