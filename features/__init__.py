"""What is measured of a clip, one extractor per file."""
