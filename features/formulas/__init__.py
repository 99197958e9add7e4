"""Formulas of extractors, as pure functions of arrays."""
