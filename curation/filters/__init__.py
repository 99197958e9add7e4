"""What a clip must be, one filter a file: pure over measurements."""
