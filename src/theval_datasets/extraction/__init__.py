"""Computation of features: the extractor type, the cache, the runner and its engines."""
