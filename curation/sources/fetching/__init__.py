"""Downloads: addresses, limits, connections checked one by one."""
