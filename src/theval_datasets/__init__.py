"""Talking-head video quality datasets: curate, measure, label and publish them.

Importing this package is free: nothing heavy is loaded before it is used.
"""

__version__ = "0.1.0"
