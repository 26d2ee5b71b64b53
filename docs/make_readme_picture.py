"""Make docs/readme.png, what groupemo shows: `python docs/make_readme_picture.py`.

Left a photo as `draw_analysis` draws it, its faces blurred; right detectors and backends on
the sample photos that are under the MIT licence or in the public domain.
"""

from __future__ import annotations

import io
from pathlib import Path

from matplotlib.figure import Figure

import groupemo
from groupemo.drawing import draw_analysis
from groupemo.files import write_atomically
from groupemo.notebook import sample_photos
from groupemo.plots import plot_comparison

PICTURE = Path(__file__).parent / "readme.png"
PHOTO = "azure_faces.jpg"


def main() -> None:
    """Analyze, evaluate, draw."""
    samples = sample_photos("build/readme")
    photo = samples.folder / PHOTO
    analysis = groupemo.analyze(photo)
    drawn = draw_analysis(groupemo.read_photo(photo), analysis, blur=True)
    evaluation = groupemo.evaluate(
        samples.photos,
        samples.labels,
        detectors=["yunet", "haar"],
        backends=["groupemo", "fer", "prior"],
    )
    figure = Figure(figsize=(11, 4), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(6, 5))
    left.imshow(drawn)
    left.set_axis_off()
    plot_comparison(evaluation, "end_to_end_accuracy", right)
    figure.savefig(buffer := io.BytesIO(), format="png", dpi=110)
    write_atomically(PICTURE, buffer.getvalue())


if __name__ == "__main__":
    main()
