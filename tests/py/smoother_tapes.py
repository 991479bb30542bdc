"""Tapes for landmark-smoother, and what it must make of them.

smoother_tapes.py make FOLDER: writes tapes of the same frames in order, out of
order, without some, twice, with two faces a frame, of several clips.
smoother_tapes.py same A B: the same items (ids, landmarks, tracks), whatever
their order.
smoother_tapes.py order A: within each clip frames are in order.
smoother_tapes.py filter IN OUT MIN_CUTOFF BETA D_CUTOFF: OUT is IN filtered by
the paper's formulas, written out here in numpy; one face that never jumps.
"""
import hashlib
import random
import sys

import numpy as np

sys.path.insert(0, "tests/py")
import facet_tape  # noqa: E402


# Where the groups of points begin: jaw, brows, bridge, nostrils, eyes, lips.
GROUPS = [0, 17, 22, 27, 31, 36, 42, 48, 60, 68]


def points(rng, x, y, size=80.0):
    a = np.arange(68) * 0.7
    p = np.stack([x + 0.8 * size * np.cos(a), y + 0.8 * size * np.sin(a),
                  0.1 * size * np.sin(2 * a)], 1)
    p[36, :2] = x - size / 2, y
    p[45, :2] = x + size / 2, y
    return (p + rng.normal(0, 0.5, p.shape)).astype("<f4")


def item(clip, k, n, p, face=None, faces=None, **more):
    name = f"{clip}/{k}/{face}"
    fields = {"path": clip, "frame_index": 3 * k, "sample": k, "n_frames": n,
              "pts_ns": int(k * 3 * 40e6), "landmarks": facet_tape.tensor(p)}
    if face is not None:
        fields.update(face=face, faces=faces)
    fields.update(more)
    return {"v": 1, "kind": "item", "fields": fields,
            "id": hashlib.md5(name.encode()).digest()}


def clip(name, n, faces, seed):
    rng = np.random.default_rng(seed)
    out = []
    for k in range(n):
        for f in range(faces):
            p = points(rng, 100 + 200 * f + 4 * np.sin(k / 3), 90 + k)
            out.append(item(name, k, n, p, f if faces > 1 else None, faces))
    return out


def write(path, items):
    with open(path, "wb") as f:
        facet_tape.write(f, [(it, []) for it in items])


def shuffled(items, far, seed):
    """Each item at most about `far` places from its own."""
    r = random.Random(seed)
    key = {id(it): k + r.uniform(0, far) for k, it in enumerate(items)}
    return sorted(items, key=lambda it: key[id(it)])


def make(d):
    a, b = clip("a.mp4", 40, 1, 1), clip("b.mp4", 40, 1, 2)
    two = clip("two.mp4", 40, 2, 3)
    write(f"{d}/a.tape", a)
    write(f"{d}/late.tape", shuffled(a, 12, 4))
    write(f"{d}/all.tape", a + b + two)
    # The detector saw two faces and sent one of them on.
    write(f"{d}/largest.tape", [it for k, it in enumerate(two) if k % 2])
    write(f"{d}/two.tape", two)
    write(f"{d}/mixed.tape", shuffled(
        [it for trio in zip(a, b, two[::2], two[1::2]) for it in trio], 30, 5))
    # Frame 20 never comes; nothing can be known of that before the end.
    without = [it for it in a if it["fields"]["sample"] != 20]
    write(f"{d}/without.tape", without)
    write(f"{d}/without-late.tape", shuffled(without, 12, 6))
    write(f"{d}/twice.tape", a[:10] + [a[4]] + a[10:])
    # Frame 3 comes after 25 others: too late for a window of 8.
    write(f"{d}/far.tape", a[:3] + a[4:29] + [a[3]] + a[29:])
    bad = [dict(it, fields=dict(it["fields"])) for it in a]
    bad[7]["fields"]["landmarks"] = facet_tape.tensor(
        np.full((68, 3), np.nan, "<f4"))
    del bad[9]["fields"]["pts_ns"]
    write(f"{d}/bad.tape", bad)


def read(path):
    with open(path, "rb") as f:
        return list(facet_tape.read(f))


def same(a, b):
    a, b = ({it["id"]: it for it in read(p)} for p in (a, b))
    assert a.keys() == b.keys(), (len(a), len(b), len(a.keys() & b.keys()))
    for i, x in a.items():
        y = b[i]
        assert x["parent"] == y["parent"]
        assert x["fields"]["track"] == y["fields"]["track"], x["fields"]
        assert (x["fields"]["landmarks"] == y["fields"]["landmarks"]).all()
    print(len(a))


def order(path):
    last = {}
    for it in read(path):
        f = it["fields"]
        place = f["sample"] if "sample" in f else f["frame_index"]
        at = (place, f.get("face", 0))
        key = f.get("path", f.get("clip"))
        assert last.get(key, (-1, 0)) < at, (key, last.get(key), at)
        last[key] = at


def check_filter(a, b, min_cutoff, beta, d_cutoff):
    x = v = last = None
    got = {it["parent"]: it["fields"] for it in read(b)}

    def alpha(cutoff, dt):
        return 1 / (1 + 1 / (2 * np.pi * cutoff * dt))

    moved = 0
    for it in read(a):
        p = it["fields"]["landmarks"].astype(float)
        t = it["fields"]["pts_ns"] * 1e-9
        if x is None:
            x, v = p.copy(), np.zeros_like(p)
        else:
            dt = t - last
            size = max(np.hypot(*(p[45] - p[36])[:2]),
                       0.55 * np.ptp(p[:, :2], axis=0).max())
            v += alpha(d_cutoff, dt) * ((p - x) / dt - v)
            speed = np.zeros(68)
            for a0, b0 in zip(GROUPS, GROUPS[1:]):
                speed[a0:b0] = np.hypot(*v[a0:b0, :2].mean(0)) / size
            x += alpha(min_cutoff + beta * speed, dt)[:, None] * (p - x)
        last = t
        out = got[it["id"]]
        assert out["track"] == 0
        # floats of up to 300: 3e-5 apart
        assert np.abs(out["landmarks"] - x).max() < 6e-5
        moved = max(moved, np.abs(p - x).max())
    assert moved > 0.5  # there was something to filter


if sys.argv[1] == "make":
    make(sys.argv[2])
elif sys.argv[1] == "same":
    same(*sys.argv[2:])
elif sys.argv[1] == "order":
    order(sys.argv[2])
else:
    check_filter(*sys.argv[2:4], *map(float, sys.argv[4:]))
