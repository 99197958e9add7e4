"""The checks of a built dataset."""
