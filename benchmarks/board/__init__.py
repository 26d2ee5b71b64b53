"""The parts of `benchmarks/leaderboard.py`.

`worker` runs in a contender's own environment and answers requests; `contenders` says who runs, and
with what; `crews` starts, asks and ends workers; `scenes` makes crops and photos; `judging` counts
what was found; `parts` measures, and gives what JSON holds; `standings` are figures made of that,
`pages` and `picture` show them.
"""
