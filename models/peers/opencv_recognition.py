"""OpenCV's own face recognition (FaceDetectorYN and FaceRecognizerSF), fed photographs by `eval recognition`.

Reads photographs from standard input, each as its length (4 bytes, little-endian) and its bytes; answers each with one
line: the embedding of the face nearest the middle as a JSON array, or null where there is none.
"""

import argparse
import json
import struct
import sys

import cv2
import numpy as np


def nearest_to_middle(faces, image):
    height, width = image.shape[:2]
    return min(faces, key=lambda f: np.hypot(f[0] + f[2] / 2 - width / 2, f[1] + f[3] / 2 - height / 2))


def embedding(detector, recogniser, data):
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        return None
    detector.setInputSize((image.shape[1], image.shape[0]))
    _, faces = detector.detect(image)
    if faces is None:
        return None
    face = nearest_to_middle(faces, image)
    values = recogniser.feature(recogniser.alignCrop(image, face)).ravel()
    return (values / np.linalg.norm(values)).tolist()


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--detector", required=True, help="YuNet as ONNX")
    arguments.add_argument("--recogniser", required=True, help="SFace as ONNX")
    arguments.add_argument("--confidence", type=float, required=True, help="the detector's threshold")
    arguments = arguments.parse_args()
    detector = cv2.FaceDetectorYN.create(arguments.detector, "", (320, 320), arguments.confidence, 0.3, 5000)
    recogniser = cv2.FaceRecognizerSF.create(arguments.recogniser, "")
    while header := sys.stdin.buffer.read(4):
        data = sys.stdin.buffer.read(struct.unpack("<I", header)[0])
        print(json.dumps(embedding(detector, recogniser, data)), flush=True)


if __name__ == "__main__":
    main()
