"""Counts first, ratios last: pure functions of a summed `Tally` or of per-face rows."""
