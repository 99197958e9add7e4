"""The files of a clip: cut, audio tracks, reference frame."""
