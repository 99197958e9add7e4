"""Dataset cards and pages, rendered from built files."""
