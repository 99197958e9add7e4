"""A campaign of faults: mutated media, kills, errors of the Hub, two writers, a full disk.

``python -m benchmarks.faults`` runs it and prints for each kind how many trials there were, how many
were survived and how many were lost. Every trial follows from the seed, which is printed.
"""
