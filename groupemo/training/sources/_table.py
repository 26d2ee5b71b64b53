"""CSV tables read a part at a time, as text, their columns in lower case."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from groupemo.errors import LabelError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["columns_of", "line_of", "numbers", "read_table", "require_columns", "table_parts"]


def columns_of(path: Path) -> list[str]:
    """Return the names of the columns, trimmed and in lower case."""
    import pandas as pd

    with _said_of(path):
        return _plain(path, pd.read_csv(path, nrows=0, index_col=False))


def table_parts(path: Path, rows: int) -> Iterator[pd.DataFrame]:
    """Yield a table, some rows at a time, every cell a text; the index counts the rows.

    Raises
    ------
    LabelError
        If the file cannot be read, or is no CSV.
    """
    import pandas as pd

    with _said_of(path), pd.read_csv(
        path, dtype=str, keep_default_na=False, index_col=False, chunksize=rows
    ) as parts:  # fmt: skip
        for part in parts:
            part.columns = _plain(path, part)
            yield part


def read_table(path: Path) -> pd.DataFrame:
    """Return a whole table as `table_parts` gives it."""
    import pandas as pd

    return pd.concat([*table_parts(path, 100_000), pd.DataFrame(columns=columns_of(path))])


def numbers(path: Path, table: pd.DataFrame, columns: list[str]) -> NDArray[np.int64]:
    """Return columns of whole numbers from 0, shape (n, len(columns)).

    Raises
    ------
    LabelError
        If a column is missing or a cell is something else; names line and column.
    """
    require_columns(path, table, columns)
    for name in columns:
        bad = table[name][~table[name].str.fullmatch(r"\s*\d{1,9}\s*")]
        if len(bad):
            raise LabelError(
                f"{path}, line {line_of(bad.index[0])}, column {name!r}: {bad.iloc[0]!r} is not"
                " a whole number from 0"
            )
    return table[columns].to_numpy(str).astype(np.int64).reshape(-1, len(columns))


def require_columns(path: Path, table: pd.DataFrame, columns: list[str]) -> None:
    """Refuse a table without a column of each name."""
    missing = [name for name in columns if name not in table]
    if missing:
        known = ", ".join(map(repr, table.columns))
        raise LabelError(f"{path}: no column {missing[0]!r} among {known}")


def line_of(row: Any) -> int:
    """Return the line of the file on which a row of its table stands, by its index."""
    return int(row) + 2


def _plain(path: Path, table: pd.DataFrame) -> list[str]:
    names = [str(name).strip().lower() for name in table.columns]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise LabelError(f"{path}, line 1: the column {twice!r} stands there twice")
    return names


@contextmanager
def _said_of(path: Path) -> Iterator[None]:
    """Say what keeps a table from being read."""
    from pandas.errors import EmptyDataError, ParserError

    try:
        yield
    except OSError as error:
        raise LabelError(f"{path}: cannot be read: {error.strerror or error}") from error
    except EmptyDataError as error:
        raise LabelError(f"{path}: the file is empty") from error
    except (ParserError, UnicodeDecodeError) as error:
        raise LabelError(f"{path}: not CSV in UTF-8: {str(error).strip()}") from error
