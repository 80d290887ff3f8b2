# The peers of `bench search`, told line by line when it is their turn: one JSON object in, one out.
#
#   python search_peers.py vectors.f32 probes.f32 dims
#
# Both files hold rows of `dims` little-endian float32. Commands: {"build": NAME}, {"tune": NAME, "truth": [...]},
# {"single": NAME, "from": i, "count": n}, {"batch": NAME, "from": i, "count": n, "threads": t}, {"drop": NAME}.
import json
import math
import sys
import time

import faiss
import numpy as np

RECALL = 0.999
TRAINED_ON = 100_000
# Graphs take too long to build beyond this.
GRAPH_MAX = 1_000_000


class Faiss:
    knobs = [None]

    def __init__(self, vectors, factory):
        faiss.omp_set_num_threads(2)
        self.index = faiss.index_factory(vectors.shape[1], factory, faiss.METRIC_INNER_PRODUCT)
        if not self.index.is_trained:
            self.index.train(np.ascontiguousarray(vectors[:TRAINED_ON]))
        for start in range(0, len(vectors), 500_000):
            self.index.add(np.ascontiguousarray(vectors[start : start + 500_000]))

    def threads(self, threads):
        faiss.omp_set_num_threads(threads)

    def search(self, probes):
        return self.index.search(probes, 1)[1][:, 0]

    def set(self, knob):
        pass


class Refined(Faiss):
    knobs = [10, 30, 100, 200, 400, 1000]

    def set(self, knob):
        self.index.k_factor = knob


class Cells(Faiss):
    knobs = [64, 256, 1024]

    def set(self, knob):
        faiss.extract_index_ivf(self.index).nprobe = knob


class Graph(Faiss):
    knobs = [64, 256, 1024, 4096]

    def set(self, knob):
        self.index.hnsw.efSearch = knob


class Usearch:
    knobs = [64, 256, 1024, 4096]

    def __init__(self, vectors):
        from usearch.index import Index

        self.count = 1
        self.index = Index(ndim=vectors.shape[1], metric="ip", dtype="i8", connectivity=16, expansion_add=128)
        self.index.add(np.arange(len(vectors)), vectors, threads=2)

    def threads(self, threads):
        self.count = threads

    def search(self, probes):
        keys = self.index.search(probes, 1, threads=self.count).keys
        return np.asarray(keys).reshape(-1).astype(np.int64)

    def set(self, knob):
        self.index.expansion_search = knob


class Hnswlib:
    knobs = [64, 256, 1024, 4096]

    def __init__(self, vectors):
        import hnswlib

        self.index = hnswlib.Index(space="ip", dim=vectors.shape[1])
        self.index.init_index(max_elements=len(vectors), ef_construction=128, M=16)
        self.index.set_num_threads(2)
        self.index.add_items(vectors)

    def threads(self, threads):
        self.index.set_num_threads(threads)

    def search(self, probes):
        return self.index.knn_query(probes, k=1)[0][:, 0].astype(np.int64)

    def set(self, knob):
        self.index.set_ef(knob)


def cells(vectors):
    return Cells(vectors, f"IVF{min(4096, max(16, int(4 * math.sqrt(len(vectors)))))},SQ8")


PEERS = {
    "flat": lambda v: Faiss(v, "Flat"),
    "pq64x4fs+refine": lambda v: Refined(v, "PQ64x4fs,RFlat"),
    "pq32x4fs+refine": lambda v: Refined(v, "PQ32x4fs,RFlat"),
    "rabitqfs+refine": lambda v: Refined(v, "RaBitQfs,RFlat"),
    "ivf,sq8": cells,
    "hnsw32": lambda v: Graph(v, "HNSW32"),
    "usearch i8": Usearch,
    "hnswlib": Hnswlib,
}
GRAPHS = {"hnsw32", "usearch i8", "hnswlib"}


def tune(peer, probes, truth):
    """The cheapest setting that finds what the exact search finds; else the most thorough."""
    peer.threads(2)
    for knob in peer.knobs:
        peer.set(knob)
        recall = float(np.mean(peer.search(probes[: len(truth)]) == np.asarray(truth)))
        if recall >= RECALL:
            break
    return {"setting": knob, "recall": recall}


def single(peer, probes):
    peer.threads(1)
    ms, ids = [], []
    for row in range(len(probes)):
        probe = probes[row : row + 1]
        start = time.perf_counter()
        found = peer.search(probe)
        ms.append((time.perf_counter() - start) * 1e3)
        ids.append(int(found[0]))
    return {"ms": ms, "ids": ids}


def batch(peer, probes, threads):
    peer.threads(threads)
    start = time.perf_counter()
    ids = peer.search(probes)
    return {"ms": [(time.perf_counter() - start) * 1e3], "ids": [int(i) for i in ids]}


def main():
    dims = int(sys.argv[3])
    vectors = np.memmap(sys.argv[1], dtype="<f4", mode="r").reshape(-1, dims)
    probes = np.fromfile(sys.argv[2], dtype="<f4").reshape(-1, dims)
    names = [name for name in PEERS if len(vectors) <= GRAPH_MAX or name not in GRAPHS]
    built = {}

    def answer(order):
        if "build" in order:
            start = time.perf_counter()
            built[order["build"]] = PEERS[order["build"]](vectors)
            return {"seconds": time.perf_counter() - start}
        if "tune" in order:
            return tune(built[order["tune"]], probes, order["truth"])
        if "drop" in order:
            built.pop(order["drop"], None)
            return {}
        chosen = probes[order["from"] : order["from"] + order["count"]]
        if "single" in order:
            return single(built[order["single"]], chosen)
        return batch(built[order["batch"]], chosen, order["threads"])

    print(json.dumps({"faiss": faiss.__version__, "options": faiss.get_compile_options(), "peers": names}), flush=True)
    for line in sys.stdin:
        try:
            reply = answer(json.loads(line))
        except Exception as error:  # One peer's failure is its own figure, not the end of the run.
            reply = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(reply), flush=True)


main()
