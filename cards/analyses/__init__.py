"""Analyses of a built dataset: the figures of the papers, drawn from the dataset's files."""
