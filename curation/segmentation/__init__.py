"""Segmentation of sources into spans that may become clips."""
