"""Releases on disk: writing, verification, comparison."""
