"""From sources to clips: fetching, segmentation, filters, cuts, and subjective studies of them."""
