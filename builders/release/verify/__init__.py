"""Verification of a built dataset."""
