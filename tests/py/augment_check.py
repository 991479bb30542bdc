"""Checks crops of face-augmenter against their inputs, straight from the
definitions: augment_check.py INPUT OUTPUT plain|random, both tapes in one
order.

plain: the crop is the landmarker's square (boxes and rule as
models/README.md gives them), resampled by the definition of image_crop_f32.
random: points are the matrix's images of the input's, left and right
exchanged exactly where it mirrors; and, if nothing but place changes, the
picture is the one that the matrix says.
"""
import sys

import numpy as np

sys.path.insert(0, "tests/py")
import facet_tape  # noqa: E402

PAIRS = [(a, 16 - a) for a in range(8)] + [(17 + a, 26 - a) for a in range(5)]
PAIRS += [(31, 35), (32, 34), (36, 45), (37, 44), (38, 43), (39, 42), (40, 47),
          (41, 46), (48, 54), (49, 53), (50, 52), (55, 59), (56, 58), (60, 64),
          (61, 63), (65, 67)]
MIRROR = list(range(68))
for a, b in PAIRS:
    MIRROR[a], MIRROR[b] = b, a


def square(box):
    x0, y0, x1, y1 = map(float, box)
    top = y0 - 0.22 * (y1 - y0)
    w, h = x1 - x0, y1 - top
    side = 200 * (w + h) / 195
    cx, cy = (x0 + x1) / 2 + 0.5, (top + y1) / 2 - 0.06 * h + 0.5
    return cx - side / 2, cy - side / 2, side


def weights(n, size, origin, step):
    """Rows: outputs; the share of each input in it, nothing beyond."""
    width = max(step, 1.0)
    mid = origin + (np.arange(n) + 0.5) * step
    lo = np.maximum(mid[:, None] - width / 2, np.arange(size)[None])
    hi = np.minimum(mid[:, None] + width / 2, np.arange(size)[None] + 1)
    return np.maximum(hi - lo, 0) / width


def check_plain(a, b):
    size = b["frame"].shape[0]
    x0, y0, side = square(a["box"])
    k = size / side
    want = [[k, 0, (0.5 - x0) * k - 0.5], [0, k, (0.5 - y0) * k - 0.5]]
    # f32 of numbers up to 1000
    assert np.abs(b["crop"] - want).max() < 1e-4 * max(1, np.abs(want).max())
    f = a["frame"].astype(np.float64)
    wy = weights(size, f.shape[0], y0, side / size)
    wx = weights(size, f.shape[1], x0, side / size)
    img = np.einsum("yjc,xj->yxc", np.tensordot(wy, f, 1), wx, optimize=True)
    # f32 sums, then rounded to bytes
    assert np.abs(img - b["frame"]).max() < 0.51, np.abs(img - b["frame"]).max()
    assert not b["mirrored"]


def check_points(a, b):
    m = b["crop"].astype(np.float64)
    p = a["landmarks_true"][:, :2].astype(np.float64) @ m[:, :2].T + m[:, 2]
    mirrored = np.linalg.det(m[:, :2]) < 0
    assert mirrored == b["mirrored"]
    if mirrored:
        p = p[MIRROR]
    # the matrix is given in f32
    assert np.abs(p - b["landmarks_true"]).max() < 2e-3
    box = b["box"]
    q = b["landmarks_true"]
    assert (box == [*q.min(0), *q.max(0)]).all()
    return mirrored


def check_picture(a, b):
    """Where the frame is smooth, the crop shows it at the matrix's place."""
    f = a["frame"].astype(np.float64)
    h, w = f.shape[:2]
    size = b["frame"].shape[0]
    m = np.vstack([b["crop"].astype(np.float64), [0, 0, 1]])
    inv = np.linalg.inv(m)
    y, x = np.mgrid[0:size, 0:size]
    s = inv @ np.stack([x.ravel(), y.ravel(), np.ones(size * size)])
    inside = (s[0] > 1) & (s[0] < w - 2) & (s[1] > 1) & (s[1] < h - 2)
    ix, iy = np.floor(s[0][inside]).astype(int), np.floor(s[1][inside]).astype(int)
    fx, fy = (s[0][inside] - ix)[:, None], (s[1][inside] - iy)[:, None]
    want = ((f[iy, ix] * (1 - fx) + f[iy, ix + 1] * fx) * (1 - fy)
            + (f[iy + 1, ix] * (1 - fx) + f[iy + 1, ix + 1] * fx) * fy)
    got = b["frame"].reshape(-1, 3)[inside]
    off = np.abs(want - got)
    # Half a level of rounding, one of positions kept to 1/256; where the
    # crop shrinks, it is the mean of several such samples.
    assert off.mean() < 1.5, off.mean()
    beyond = ((s[0] < -0.51) | (s[0] > w - 0.49) | (s[1] < -0.51)
              | (s[1] > h - 0.49))
    return b["frame"].reshape(-1, 3)[beyond]


def main():
    with open(sys.argv[1], "rb") as f, open(sys.argv[2], "rb") as g:
        pairs = [(a["fields"], b["fields"])
                 for a, b in zip(facet_tape.read(f), facet_tape.read(g),
                                 strict=True)]
    assert pairs
    mirrored = 0
    for a, b in pairs:
        if sys.argv[3] == "plain":
            check_plain(a, b)
        mirrored += check_points(a, b)
        if sys.argv[3] == "place":
            assert not check_picture(a, b).any(), "not black beyond the frame"
        assert "pose_deg" not in b
    if sys.argv[3] != "plain":
        assert 0 < mirrored < len(pairs), mirrored
    print(len(pairs), "fine")


main()
