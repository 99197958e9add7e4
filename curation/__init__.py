"""From sources to clips: fetching, segmentation, filters, cuts; and rating studies of clips."""
