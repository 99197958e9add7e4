"""Which recordings are the same: fingerprints compared, reference indexes, location."""
