"""One function a file behind each command of theval-data."""
