"""One dataset a file, on a common base."""
