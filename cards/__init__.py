"""Dataset cards and report pages, rendered from the built files."""
