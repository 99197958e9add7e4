"""Curation recipes: the named YAML files and their schema."""
