"""The manifest, and `info.json` and the tombstones beside it in a built dataset."""
