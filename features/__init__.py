"""What is measured of a clip, one extractor a file."""
