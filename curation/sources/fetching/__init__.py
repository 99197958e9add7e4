"""Downloads: addresses, limits, checked connections."""
