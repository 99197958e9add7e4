"""Duplicate recordings: comparison of fingerprints, reference indexes, location."""
