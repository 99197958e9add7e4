"""The manifest, and `info.json` and the tombstones that lie beside it in a built dataset."""
