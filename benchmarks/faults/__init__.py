"""A campaign of faults: mutated media, kills, errors of the Hub, two writers, a full disk.

``python -m benchmarks.faults`` runs it and prints the number of trials of each kind, and how many were
survived or lost. The seed, which is printed, determines every trial.
"""
