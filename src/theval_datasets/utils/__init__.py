"""Utilities that all parts share: files, records, progress, optional packages."""
