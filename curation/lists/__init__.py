"""Lists of clips that other datasets publish, read as manifest rows; one module per format."""
