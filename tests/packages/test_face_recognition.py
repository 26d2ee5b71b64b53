"""groupemo's hog detector beside the face_recognition package."""

from beside import compared, counts, told

from groupemo.detectors.face_recognition import FaceRecognition
from groupemo.detectors.hog import Hog
from groupemo.images import read_photo


def test_hog_is_what_face_recognition_finds(photos, difference):
    faces, gaps = compared(map(read_photo, photos), Hog(), FaceRecognition())
    difference("hog: faces a photo", counts(faces), 0, told(faces))
    difference("hog: 1 - IoU of boxes", gaps, 0, told(faces))


def test_the_network_finds_faces_too(photos, difference):
    photo = read_photo(next(path for path in photos if path.stem == "azure_faces"))
    faces, gaps = compared([photo], Hog(), FaceRecognition(model="cnn", upsample=0))
    difference("hog beside cnn: 1 - IoU of boxes", gaps, 0.5, told(faces))
