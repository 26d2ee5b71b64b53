"""For notebooks: photos to start from, an upload, the camera, a slider, pictures of errors.

Analyses and evaluations show themselves there without it. What is here works in Jupyter and in
Colab; the interactive parts need `pip install 'groupemo[notebook]'`.
"""

from groupemo.notebook.annotators import disputes, with_stand_ins
from groupemo.notebook.camera import webcam
from groupemo.notebook.explorer import explore, narrowed
from groupemo.notebook.extras import training_within_reach
from groupemo.notebook.models import backends_within_reach, detectors_within_reach
from groupemo.notebook.photos import LabelledPhotos, sample_labels, sample_photos, upload
from groupemo.notebook.pictures import compare_detectors, disagreements, gallery
from groupemo.report.inline import Shown, show_faces

__all__ = [
    "LabelledPhotos",
    "Shown",
    "backends_within_reach",
    "compare_detectors",
    "detectors_within_reach",
    "disagreements",
    "disputes",
    "explore",
    "gallery",
    "narrowed",
    "sample_labels",
    "sample_photos",
    "show_faces",
    "training_within_reach",
    "upload",
    "webcam",
    "with_stand_ins",
]
