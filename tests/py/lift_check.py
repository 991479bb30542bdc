"""Position maps on tapes.

    lift_check.py map TAPE         the 68 true points lie on the map
    lift_check.py shift IN OUT X   a tape whose found surface and points are the
                                   true ones, moved right by X outer-eye
                                   distances
"""
import os
import sys

import numpy as np

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import facet_tape as tape


def eye(points):
    return np.linalg.norm(points[36].astype(float) - points[45])


def check_map(path):
    worst = 0
    for head in tape.read(open(path, "rb")):
        f = head["fields"]
        points = f["landmarks_true"].astype(float)
        nodes = f["surface_seen"].astype(float).reshape(-1, 3)
        for p in points[17:]:
            d = np.sqrt(((nodes - p) ** 2).sum(1)).min()
            worst = max(worst, d / eye(points))
    # A cell of the face is about 0.08 wide: half of its diagonal.
    assert worst < 0.08, worst
    print(f"points lie on the map: {worst:.3f}")


def shift(source, out, by):
    items = []
    for head in tape.read(open(source, "rb")):
        f = head["fields"]
        points = f["landmarks_true"].astype("<f4").copy()
        surface = f["surface_seen"].astype("<f4").copy()
        move = by * eye(points)
        truth = {"landmarks_true": f["landmarks_true"].astype("<f4"),
                 "surface_seen": f["surface_seen"].astype("<f4")}
        points[:, 0] += move
        surface[..., 0] += move
        arrays = dict(truth, points3d=points, surface=surface)
        frames, fields = [], {}
        for name, a in arrays.items():
            frames.append(a.tobytes())
            fields[name] = tape.tensor(a, frame=len(frames))
        items.append((dict(head, fields=fields), frames))
    with open(out, "wb") as file:
        tape.write(file, items)


if sys.argv[1] == "map":
    check_map(sys.argv[2])
else:
    shift(sys.argv[2], sys.argv[3], float(sys.argv[4]))
