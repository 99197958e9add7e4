"""Rebuilding of the clips of a manifest, and comparison with the originals."""
