"""Statistics of a run's filters."""
