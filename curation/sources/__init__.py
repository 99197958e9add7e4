"""Sources of media, one kind per file."""
