"""A release on disk: written, verified, compared."""
