"""The functions behind the commands of theval-data, one per file."""
