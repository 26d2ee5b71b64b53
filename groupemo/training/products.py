"""What a finished training leaves for use: the net as ONNX, with its description."""

from __future__ import annotations

from groupemo.training.faces_file import FacesFile
from groupemo.training.feed import majority
from groupemo.training.onnx_export import Exported, export
from groupemo.training.run import Run

__all__ = ["write_products"]

COMPARED = 500
"""Faces on which the ONNX file is compared with the net."""


def write_products(run: Run) -> Exported:
    """Write net.onnx and net.toml to the run's folder, from the net of its best epoch.

    Raises
    ------
    ModelError
        If no epoch is done, or the file would not answer as the net does.
    LabelError
        If the faces of the run are not there any more.
    OutputError
        If the files cannot be written.
    """
    about = run.data["valid"]
    with FacesFile(about["path"]) as valid, FacesFile(run.data["faces"]["path"]) as learned:
        margin = learned.provenance.get("options", {}).get("margin", 0.0)
        return export(
            run.load_net(),
            run.folder / "net.onnx",
            side=about["side"],
            channels=about["channels"],
            faces=valid.faces[:COMPARED],
            labels=majority(valid.votes[:COMPARED]),
            margin=margin,
        )
