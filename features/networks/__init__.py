"""Neural networks that extractors run, and how their weights are loaded."""
