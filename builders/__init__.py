"""Dataset builders, on a common base."""
