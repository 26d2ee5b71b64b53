"""The parts of `benchmarks/leaderboard.py`.

`worker` runs in a contender's own environment and answers requests; `contenders` says who runs and
with what; `crews` starts, asks and ends workers; `judging` counts what they found; `parts` measures
and fills the results, which are JSON; `pages` and `picture` show them.
"""
