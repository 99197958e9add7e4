"""Lists of clips that other datasets publish, read as rows of manifests: one format a module."""
