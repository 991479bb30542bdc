"""How a landmarker draws turned heads to frontal ones: mean errors by yaw.

    head-renderer --stdio --heads 100 --frames 4 --yaw 75 --pitch 12 --seed 77 |
        landmarker --stdio --box item --min-score 0.2 > found.tape
    head-model-sampler --stdio --model own --noise 0 --pull 0 --surface false \
        --val 0 --epoch-size 3000 --pitch 12 --roll 0 --yaw 75 > marked.tape
    python3 bench/landmarker_pull.py found.tape marked.tape

Of points 17-67 the errors are those of x and y against the true points; of the
jaw, whose points slide, what is left of x beyond the visible outline that the
second tape tells (only on the side that is turned away). Without roll, mirrored
to heads turned to the picture's right, less the mean error of frontal heads;
in % of the outer-eye distance, at 22, 37, 52 and 67 degrees, as lib/geom/
head_noise.c has them.
"""
import os
import sys

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "..", "tests", "py"))
import facet_tape as tape

MIRROR = [*range(16, -1, -1), *range(26, 16, -1), 27, 28, 29, 30,
          35, 34, 33, 32, 31, 45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40,
          54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55,
          64, 63, 62, 61, 60, 67, 66, 65]
EDGES = (0, 15, 30, 45, 60, 76)


def means(path):
    """[bin, 68, 2]: mean of landmarks - landmarks_true."""
    rows, yaws = [], []
    for head in tape.read(open(path, "rb")):
        f = head["fields"]
        true = f["landmarks_true"].astype(float)
        d = f["landmarks"][:, :2] - true[:, :2]
        d /= np.linalg.norm(true[36] - true[45])
        yaw = f["yaw_true"]
        roll = np.radians(f["pose_deg"][2] if "pose_deg" in f
                          else f["roll_true"])
        c, s = np.cos(roll), np.sin(roll)
        d = d @ np.array([[c, -s], [s, c]])
        if yaw < 0:
            d = d[MIRROR] * [-1, 1]
        rows.append(d)
        yaws.append(abs(yaw))
    rows, yaws = np.array(rows), np.array(yaws)
    return np.array([rows[(yaws >= a) & (yaws < b)].mean(0)
                     for a, b in zip(EDGES, EDGES[1:])])


found, marked = means(sys.argv[1]), means(sys.argv[2])
found -= found[0]
marked -= marked[0]
found[:, :17] -= marked[:, :17]
found[:, :10] = 0
found[:, 10:17, 1] = 0
table = np.round(100 * found[1:]).astype(int)
for i in range(68):
    print("{" + ", ".join(f"{{{x}, {y}}}" for x, y in table[:, i]) + "},"
          + f" /* {i} */")
