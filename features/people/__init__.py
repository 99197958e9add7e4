"""People of a clip: detection, tracks, crops, identity."""
