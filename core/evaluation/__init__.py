"""How well a metric agrees with people: correlation, folds, saliency, leaderboards."""
