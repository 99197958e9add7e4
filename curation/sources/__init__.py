"""What can be fetched, one kind a file."""
