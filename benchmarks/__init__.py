"""Measured figures against their targets: `make bench`, or `python -m benchmarks [NAME...]`.

Every `bench_*.py` has a function `run()` that returns rows. Each runs in a process of its own, so
that one's memory and threads do not show in another's figures.
"""
