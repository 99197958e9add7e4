"""The steps of a curation run: scan, cut, measure, judge, finish."""
