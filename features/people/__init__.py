"""Who is in a clip: detection, tracks, crops, identity."""
