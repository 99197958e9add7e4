"""One clip and what lies beside it: cut, audio, reference frame."""
