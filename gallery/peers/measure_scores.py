# Measures what `bench search --vectors realistic` imitates: quantiles of mated and impostor similarity, and the
# eigenvalues of the embeddings' covariance, by OpenCV's YuNet and SFace over a tar of folder-per-identity photographs.
#
#   python measure_scores.py yunet.onnx sface.onnx photographs.tar > gallery/calibration/sface-2021dec-scores.toml
import sys
import tarfile
from collections import defaultdict
from pathlib import Path

import cv2
import numpy as np

STEPS = 200


def embeddings(detector_path, recognizer_path, photographs):
    detector = cv2.FaceDetectorYN.create(detector_path, "", (250, 250), 0.6)
    recognizer = cv2.FaceRecognizerSF.create(recognizer_path, "")
    with tarfile.open(photographs) as tar:
        for member in tar:
            if not member.name.endswith(".jpg"):
                continue
            image = cv2.imdecode(np.frombuffer(tar.extractfile(member).read(), np.uint8), cv2.IMREAD_COLOR)
            detector.setInputSize((image.shape[1], image.shape[0]))
            faces = detector.detect(image)[1]
            if faces is None:
                continue
            face = max(faces, key=lambda f: f[2] * f[3])
            vector = recognizer.feature(recognizer.alignCrop(image, face))[0]
            yield member.name.split("/")[-2], vector / np.linalg.norm(vector)


def quantiles(values):
    return np.quantile(values, np.linspace(0, 1, STEPS + 1))


def listed(values):
    return "[" + ", ".join(f"{value:.5g}" for value in values) + "]"


def main():
    people = defaultdict(list)
    for person, vector in embeddings(*sys.argv[1:4]):
        people[person].append(vector)
    centre = np.mean([np.mean(vectors, axis=0) for vectors in people.values()], axis=0)
    names = sorted(people)
    owner = np.concatenate([[i] * len(people[name]) for i, name in enumerate(names)])
    vectors = np.concatenate([people[name] for name in names]) - centre
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    scores = vectors @ vectors.T
    above = np.triu(np.ones_like(scores, dtype=bool), 1)
    same = owner[:, None] == owner[None, :]
    mated, impostor = scores[above & same], scores[above & ~same]
    # Each person counts once: of the most photographed, whose photographs would dominate, one.
    first = np.unique(owner, return_index=True)[1]
    eigenvalues = np.sort(np.linalg.eigvalsh(np.cov(vectors[first].T)))[::-1]
    print("# What the synthetic riders of `bench search` imitate; made by gallery/peers/measure_scores.py.")
    print(
        f'provenance = "{len(vectors)} photographs of {len(names)} people in {Path(sys.argv[3]).name}, YuNet and SFace in '
        f"OpenCV {cv2.__version__}, "
        f"centred by the mean of people; {len(mated)} mated and {len(impostor)} impostor pairs, one photograph each "
        f'side. Quantiles in {STEPS} even steps from the least to the greatest."'
    )
    print(f"mated = {listed(quantiles(mated))}")
    print(f"impostor = {listed(quantiles(impostor))}")
    print(f"eigenvalues = {listed(eigenvalues)}")


main()
