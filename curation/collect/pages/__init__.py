"""The study's page: template, style, script, and the texts of its languages."""
