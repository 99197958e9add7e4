"""Analyses of a built dataset: figures that the papers show, each declared once, drawn from the files."""
