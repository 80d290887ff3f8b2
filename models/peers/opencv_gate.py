"""OpenCV's own way from a camera's JPEG to an embedding: YuNet and SFace, one thread.

Told by lines on standard input which frame to run, so that its runs and ours alternate:

    opencv_gate.py DETECTOR.onnx EMBEDDER.onnx
    > run PATH          decode, detect at half size, align, embed; answers one line of JSON
    > quit

A frame's bytes are read once, before the clock starts.
"""

import json
import sys
import time

import cv2
import numpy as np

CONFIDENCE_MIN, OVERLAP_MAX, FACES_MAX = 0.7, 0.3, 5000


def main(detector_path, embedder_path):
    cv2.setNumThreads(1)
    detector = cv2.FaceDetectorYN.create(detector_path, "", (640, 360), CONFIDENCE_MIN, OVERLAP_MAX, FACES_MAX)
    embedder = cv2.FaceRecognizerSF.create(embedder_path, "")
    files = {}
    say({"opencv": cv2.__version__})
    for line in sys.stdin:
        command, _, path = line.strip().partition(" ")
        if command == "quit":
            return
        if path not in files:
            files[path] = np.fromfile(path, np.uint8)
        say(run(detector, embedder, files[path]))


def run(detector, embedder, encoded):
    clock = [(time.perf_counter(), time.process_time())]

    def tick():
        clock.append((time.perf_counter(), time.process_time()))

    frame = cv2.imdecode(encoded, cv2.IMREAD_COLOR)
    tick()
    height, width = frame.shape[:2]
    small = cv2.resize(frame, (width // 2, height // 2), interpolation=cv2.INTER_LINEAR)
    detector.setInputSize((width // 2, height // 2))
    _, faces = detector.detect(small)
    tick()
    embedding = None
    if faces is not None:
        face = max(faces, key=lambda f: f[2] * f[3]).copy()
        face[:14] *= 2
        feature = embedder.feature(embedder.alignCrop(frame, face)).ravel()
        embedding = [float(v) for v in feature / np.linalg.norm(feature)]
    tick()
    processor = [1000 * (b[1] - a[1]) for a, b in zip(clock, clock[1:])]
    return {
        "ms": 1000 * (clock[-1][0] - clock[0][0]),
        "cpu_ms": sum(processor),
        "stages_cpu_ms": processor,
        "faces": 0 if faces is None else len(faces),
        "embedding": embedding,
    }


def say(answer):
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:3])
