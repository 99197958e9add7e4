"""Tables and readers shared by several datasets."""
