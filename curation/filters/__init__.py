"""Filters of clips, one per file: pure functions of measurements."""
