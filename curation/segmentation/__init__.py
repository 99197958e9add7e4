"""Which spans of a source may become clips."""
