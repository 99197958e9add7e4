"""From sources to clips: fetch, segment, judge, cut, and collect what people said of them."""
