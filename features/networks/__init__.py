"""Neural networks of extractors, and the loading of their weights."""
