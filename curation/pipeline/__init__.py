"""A curated run: scan, cut, measure, judge, finish."""
