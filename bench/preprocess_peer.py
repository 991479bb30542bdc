"""The way of the research script, on the CPU: OpenCV reads and samples each
clip, PyTorch finds the landmarks in two passes (whole frame, then the box of
the first points), OpenCV draws and writes the pairs. The same weights and the
same frames as facet's preprocess.yaml; the fastest PyTorch mode of those tried
is used, the five frames of a clip in one batch. Imports, loading and warming
up are not counted.

usage: preprocess_peer.py WEIGHTS CLIPS OUT [FRAMES]
prints: clips pairs seconds
"""
import os
import sys
import time

import cv2
import numpy as np
import torch

sys.path.insert(0, os.path.join(os.path.dirname(__file__), '..', 'tests', 'py'))
from fan_torch import load_fan  # noqa: E402
import torch_jit  # noqa: E402

GROUPS = [(0, 16, 0, (255, 0, 0)), (17, 21, 0, (255, 170, 0)),
          (22, 26, 0, (255, 255, 0)), (27, 30, 0, (170, 255, 0)),
          (31, 35, 0, (0, 255, 255)), (36, 41, 1, (0, 170, 255)),
          (42, 47, 1, (0, 0, 255)), (48, 59, 1, (170, 0, 255)),
          (60, 67, 1, (255, 0, 255))]
VIDEO = ('.mp4', '.mov', '.mpg', '.avi', '.mkv', '.webm')


def read_frames(path, n):
    """The frames at n even indices, decoding up to the last of them."""
    cap = cv2.VideoCapture(path)
    total = int(cap.get(cv2.CAP_PROP_FRAME_COUNT))
    want = np.unique(np.linspace(0, max(total - 1, 0), n).round().astype(int))
    frames = []
    for i in range(total):
        if not cap.grab():
            break
        if i in want:
            ok, f = cap.retrieve()
            if ok:
                frames.append(cv2.cvtColor(f, cv2.COLOR_BGR2RGB))
    cap.release()
    return frames


def crop(frame, cx, cy, side):
    """A square of that side, 256 x 256 planes in 0..1, zeros outside."""
    k = 256 / side
    m = np.float32([[k, 0, 128 - k * cx - 0.5], [0, k, 128 - k * cy - 0.5]])
    # INTER_AREA does not exist for warps: shrink first where that matters.
    while k < 0.5:
        frame = cv2.resize(frame, None, fx=0.5, fy=0.5,
                           interpolation=cv2.INTER_AREA)
        m[:, :2] *= 2
        k *= 2
    img = cv2.warpAffine(frame, m, (256, 256))
    return img.transpose(2, 0, 1).astype(np.float32) / 255


def decode(maps):
    """Centroid of the 5 x 5 cells about each maximum, in crop pixels."""
    maps = maps.copy()
    maps[maps < 0] = 0
    n = maps.shape[0]
    flat = maps.reshape(n, 68, -1).argmax(2)
    out = np.zeros((n, 68, 2), np.float32)
    pad = np.pad(maps, ((0, 0), (0, 0), (2, 2), (2, 2)))
    off = np.arange(-2, 3)
    for i in range(n):
        for p in range(68):
            y, x = divmod(int(flat[i, p]), 64)
            w = pad[i, p, y:y + 5, x:x + 5]
            s = w.sum() or 1
            out[i, p] = ((w.sum(0) * off).sum() / s + x,
                         (w.sum(1) * off).sum() / s + y)
    return out * 4 + 1.5


def points(net, frames):
    h, w = frames[0].shape[:2]
    side = float(min(h, w))
    boxes = [(w / 2, h / 2, side)] * len(frames)
    for _ in range(2):
        x = np.stack([crop(f, *b) for f, b in zip(frames, boxes)])
        maps = net(torch.from_numpy(x)).numpy()
        pts = decode(maps)
        for i, (cx, cy, s) in enumerate(boxes):
            pts[i] = pts[i] * s / 256 + (cx - s / 2, cy - s / 2)
        boxes = []
        for p in pts:
            x0, y0 = p.min(0)
            x1, y1 = p.max(0)
            y0 -= 0.22 * (y1 - y0)
            boxes.append(((x0 + x1) / 2, (y0 + y1) / 2 - 0.06 * (y1 - y0),
                          max(200 * (x1 - x0 + y1 - y0) / 195, 8.0)))
    return pts


def draw(p, h, w):
    img = np.zeros((h, w, 3), np.uint8)
    for a, b, closed, rgb in GROUPS:
        q = np.round(p[a:b + 1]).astype(np.int32)
        cv2.polylines(img, [q], bool(closed), rgb)
        for x, y in q:
            cv2.circle(img, (int(x), int(y)), 1, rgb, -1)
    return img


def best_net(path):
    """Eager or jit optimize_for_inference, whichever is faster here."""
    eager = load_fan(path)
    modes = [eager]
    x = torch.rand(5, 3, 256, 256)
    with torch.no_grad():
        modes.append(torch_jit.jit(eager, x))
        best, best_t = None, 1e9
        for m in modes:
            for _ in range(3):
                m(x)
            t = time.perf_counter()
            for _ in range(5):
                m(x)
            t = time.perf_counter() - t
            if t < best_t:
                best, best_t = m, t
    return best


def main():
    weights, clips, out = sys.argv[1:4]
    n = int(sys.argv[4]) if len(sys.argv) > 4 else 5
    torch.set_num_threads(os.cpu_count())
    net = best_net(weights)
    files = sorted(os.path.join(d, f) for d, _, fs in os.walk(clips)
                   for f in fs if f.lower().endswith(VIDEO))
    start = time.perf_counter()
    pairs = 0
    with torch.no_grad():
        for path in files:
            frames = read_frames(path, n)
            if not frames:
                continue
            pts = points(net, frames)
            to = os.path.join(out, os.path.relpath(path, clips))
            os.makedirs(to, exist_ok=True)
            for i, (f, p) in enumerate(zip(frames, pts)):
                cv2.imwrite(f'{to}/frame_{i}.jpg', f[:, :, ::-1])
                pose = draw(p, *f.shape[:2])
                cv2.imwrite(f'{to}/pose_{i}.png', pose[:, :, ::-1])
                np.savetxt(f'{to}/landmarks_{i}.csv', p, delimiter=',')
                pairs += 1
    print(len(files), pairs, f'{time.perf_counter() - start:.3f}')


main()
