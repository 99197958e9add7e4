"""The explorer of a built dataset: a folder of static files, and a server for it."""
