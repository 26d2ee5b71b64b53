"""The report's figures as tidy tables: one row a figure, for plots and papers of one's own."""

from __future__ import annotations

import io
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from groupemo.files import write_atomically
from groupemo.report.content import Content
from groupemo.report.grid import Run

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["FILES", "tables", "write_tables"]

FILES = tuple(
    f"{name}.{kind}"
    for name in ("figures", "reliability", "anatomy", "slices", "comparisons")
    for kind in ("csv", "parquet")
)
"""What `write_tables` may write."""


def tables(content: Content) -> dict[str, pd.DataFrame]:
    """Return the figures a report shows, by the name of their table.

    Parameters
    ----------
    content : Content

    Returns
    -------
    dict of str to pandas.DataFrame
        `figures` (`Evaluation.figures`), `comparisons` (`Comparisons.frame`), `anatomy`
        (how many are in each bin, and the gain if they were mended), `slices` and
        `reliability`; those that the report has. Classes are in what `Evaluation.save`
        writes.
    """
    import pandas as pd

    frames = {
        "figures": content.grid.evaluation.figures(),
        "reliability": pd.DataFrame(_reliability(content)),
        "anatomy": pd.DataFrame(_anatomy(content)),
        "slices": pd.DataFrame(_slices(content)),
    }
    if "comparisons" in content:
        frames["comparisons"] = content["comparisons"].found.frame()
    return {name: frame for name, frame in frames.items() if len(frame)}


def write_tables(content: Content, folder: Path) -> list[str]:
    """Write the tables as CSV, and as Parquet where pyarrow is installed; return their names."""
    parquet = find_spec("pyarrow") is not None
    names = []
    for name, frame in tables(content).items():
        files = {f"{name}.csv": frame.to_csv(index=False).encode()}
        if parquet:
            data = io.BytesIO()
            frame.to_parquet(data, index=False)
            files[f"{name}.parquet"] = data.getvalue()
        for file, written in files.items():
            write_atomically(folder / file, written)
            names.append(file)
    return names


def _pair(run: Run) -> dict[str, Any]:
    return {"detector": run.detector, "backend": run.backend}


def _reliability(content: Content) -> list[dict[str, Any]]:
    return [
        {**_pair(pair.run), **vars(each)}
        for pair in content["pairs"].pairs
        if pair.reliability
        for each in pair.reliability.bins
    ]


def _anatomy(content: Content) -> list[dict[str, Any]]:
    rows = []
    for one in content["anatomy"].runs if "anatomy" in content else ():
        gains = {gain.name: gain for gain in one.gains}
        for part in one.parts:
            gain = gains.get(part.name)
            mended = {"gain": gain.value, "low": gain.low, "high": gain.high} if gain else {}
            rows.append({**_pair(one.run), "bin": part.name, "count": part.count, **mended})
    return rows


def _slices(content: Content) -> list[dict[str, Any]]:
    if "slices" not in content:
        return []
    data = content["slices"]
    return [
        {
            **_pair(data.run), "by": panel.by, "group": group.name, "figure": panel.figure.name,
            "value": group.value, "low": group.low, "high": group.high, "n": group.n,
            "enough": group.enough,
        }
        for panel in data.panels
        for group in panel.groups
    ]  # fmt: skip
