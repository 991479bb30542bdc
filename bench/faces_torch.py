#!/usr/bin/python3
"""What a face costs in PyTorch and OpenCV: the peer of bench/faces.c, the same
weights, networks and steps on the same faces.

usage: faces_torch.py PART DATA LANDMARKS LIFT DETECTOR THREADS PASSES \\
           [FORM BATCH OUT]
       faces_torch.py compare OURS PEER LIMIT

The first prints the median over passes in milliseconds a face. Without FORM
and BATCH it prints which of both are the fastest here instead: eager, nhwc
(channels-last) or jit (optimize_for_inference), so many faces at once. OUT gets
what was found, as --out of bench/faces. The second prints how far two such
files are apart, and fails where the mean is beyond LIMIT pixels.

A part is one method of Peer and one row in bench/faces.c's table."""
import json
import os
import struct
import sys
import time

import cv2
import numpy as np
import torch

sys.path.insert(0, os.path.join(os.path.dirname(__file__), '../tests/py'))
from fan_torch import load_fan, read_safetensors  # noqa: E402
from nets_torch import Detector, Lift  # noqa: E402
import torch_jit  # noqa: E402

SIDE = 320   # the face-detector's look
STEP = 32    # its pictures' sides are multiples of
LEVELS = ((8, 24), (16, 64), (32, 160))  # stride, size: detector.c
INNER = 17   # the first point that is not the jaw's
FORMS = ('eager', 'nhwc', 'jit')
BATCHES = (1, 8, 32)


def metadata(path):
    with open(path, 'rb') as f:
        n = struct.unpack('<Q', f.read(8))[0]
        return json.loads(f.read(n)).get('__metadata__', {})


def crop_of_box(rule, box):
    """x0, y0, side: lib/geom/crop.c."""
    x0, top, x1, y1 = box
    up = 0.12
    if rule == 'facet':
        top, up = top - 0.22 * (y1 - top), 0.06
    w, h = x1 - x0, y1 - top
    side = 200 * (w + h) / 195
    return ((x0 + x1) / 2 + 0.5 - side / 2,
            (top + y1) / 2 - up * h + 0.5 - side / 2, side)


def cut(frame, x0, y0, side):
    """The crop as f32[3,256,256], 0..1, black outside."""
    k = 256 / side
    m = np.float64([[k, 0, (0.5 - x0) * k - 0.5], [0, k, (0.5 - y0) * k - 0.5]])
    # INTER_AREA does not exist for warps: shrink first where that matters.
    while m[0, 0] < 0.5:
        frame = cv2.resize(frame, None, fx=0.5, fy=0.5,
                           interpolation=cv2.INTER_AREA)
        # x in the half picture is (x - 0.5) / 2 of the whole
        m[:, 2] += 0.5 * m.diagonal()
        m[:, :2] *= 2
    img = cv2.warpAffine(frame, m, (256, 256))
    return img.transpose(2, 0, 1).astype(np.float32) / 255


def decode(maps, how):
    """maps [B,68,64,64] to crop pixels [B,68,2]: lib/models/fan_decode.c."""
    b = maps.shape[0]
    m = maps.reshape(b * 68, 64, 64)
    best = m.flatten(1).argmax(1).numpy()
    m = m.numpy()
    y, x = best // 64, best % 64
    at = np.arange(b * 68)
    if how == 'quarter':
        p = np.pad(m, ((0, 0), (1, 1), (1, 1)))
        inside = (x > 0) & (x < 63) & (y > 0) & (y < 63)
        u = x + 0.25 * inside * np.sign(p[at, y + 1, x + 2] - p[at, y + 1, x])
        v = y + 0.25 * inside * np.sign(p[at, y + 2, x + 1] - p[at, y, x + 1])
    else:
        near, fill = (3, -1e30) if how == 'softmax' else (2, 0)
        p = np.pad(m, ((0, 0), (near, near), (near, near)),
                   constant_values=fill)
        off = np.arange(2 * near + 1)
        w = p[at[:, None, None], y[:, None, None] + off[:, None],
              x[:, None, None] + off]
        w = (np.exp(w - m[at, y, x][:, None, None]) if how == 'softmax'
             else np.maximum(w, 0))
        s = np.maximum(w.sum((1, 2)), 1e-30)
        u = x + (w.sum(1) * (off - near)).sum(1) / s
        v = y + (w.sum(2) * (off - near)).sum(1) / s
    return np.stack((u, v), 1).reshape(b, 68, 2) * 4 + 1.5


def surest(maps, least):
    """The best box of each picture, in the network's pixels. What is best
    needs no suppression."""
    out = []
    for b in range(maps[0].shape[0]):
        best = (-np.inf, None)
        for m, (stride, size) in zip(maps, LEVELS):
            m = m[b].numpy()
            i = int(m[0].argmax())
            j, i = divmod(i, m.shape[2])
            if m[0, j, i] > best[0]:
                x, y, w, h = m[1:, j, i].astype(np.float64)
                x, y = (i + 0.5 + x) * stride - 0.5, (j + 0.5 + y) * stride - 0.5
                w, h = size * np.exp(np.clip((w, h), -4, 4))
                best = (m[0, j, i],
                        (x - w / 2, y - h / 2, x + w / 2, y + h / 2))
        assert 1 / (1 + np.exp(-best[0])) >= least, 'no face'
        out.append(best[1])
    return np.float64(out)


def weights(net, path):
    state = {k: torch.from_numpy(v.astype(np.float32))
             for k, v in read_safetensors(path).items()}
    missing = net.load_state_dict(state, strict=False)
    assert all(k.endswith('num_batches_tracked') for k in missing.missing_keys)
    assert set(missing.unexpected_keys) <= {'reference'}, missing
    return net.eval()


class Peer:
    def __init__(self, data, landmarks, lift, detector):
        self.data = read_safetensors(data)
        self.n = len(self.data['frames'])
        meta = metadata(landmarks)
        self.rule = meta.get('crop', 'fan')
        self.how = meta.get('decode', 'quarter')
        self.paths = landmarks, lift, detector
        w = read_safetensors(lift)
        self.reference = w['reference'].astype(np.float64)
        self.lift_sizes = dict(
            width=w['in.weight'].shape[0],
            blocks=sum(k.startswith('block.') and k.endswith('.a.weight')
                       for k in w),
            codes=w['code.weight'].shape[0],
            nodes=w['head.weight'].shape[0] // 3 - 68)
        h, wide = self.data['frames'].shape[1:3]
        k = SIDE / max(h, wide)
        self.small = round(h * k), round(wide * k)

    def prepare(self, part, form, batch):
        """Networks in this form for this part."""
        landmarks, lift, detector = self.paths
        rows, cols = (-(-v // STEP) * STEP for v in self.small)
        self.nets = {}
        if part in ('landmarks', 'both', 'all'):
            self.add('fan', load_fan(landmarks), (3, 256, 256), form, batch)
        if part in ('lift', 'both', 'all'):
            # has no pictures, so no layout
            self.add('lift', weights(Lift(**self.lift_sizes), lift), (136,),
                     'jit' if form == 'jit' else 'eager', batch)
        if part in ('detect', 'all'):
            w = read_safetensors(detector)['stem1.weight'].shape[0]
            self.least = float(metadata(detector).get('min_score', 0.5))
            self.add('detector', weights(Detector(w), detector),
                     (3, rows, cols), form, batch)

    def add(self, name, net, shape, form, batch):
        x = torch.rand(batch, *shape)
        if form == 'nhwc':
            net = net.to(memory_format=torch.channels_last)
        elif form == 'jit':
            net = torch_jit.jit(net, x)
        self.nets[name] = net, form

    def run(self, name, x):
        net, form = self.nets[name]
        x = torch.from_numpy(x)
        if form == 'nhwc':
            x = x.contiguous(memory_format=torch.channels_last)
        return net(x)

    # parts: faces `at` (indices), a row of numbers for each

    def landmarks(self, at):
        return decode(self.run('fan', self.data['crops'][at]), self.how)

    def lift(self, at):
        return self.lifted(self.data['points'][at].astype(np.float64))

    def both(self, at):
        return self.in_boxes(at, self.data['boxes'][at].astype(np.float64))

    def detect(self, at):
        h, w = self.small
        rows, cols = (-(-v // STEP) * STEP for v in self.small)
        x = np.zeros((len(at), 3, rows, cols), np.float32)
        for to, frame in zip(x, self.data['frames'][at]):
            small = cv2.resize(frame, (w, h), interpolation=cv2.INTER_AREA)
            to[:, :h, :w] = small.transpose(2, 0, 1).astype(np.float32) / 255
        box = surest(self.run('detector', x), self.least)
        fh, fw = self.data['frames'].shape[1:3]
        return (box + 0.5) * np.tile((fw / w, fh / h), 2) - 0.5

    def all(self, at):
        return self.in_boxes(at, self.detect(at))

    def in_boxes(self, at, boxes):
        crops = np.float64([crop_of_box(self.rule, b) for b in boxes])
        x = np.stack([cut(f, *c)
                      for f, c in zip(self.data['frames'][at], crops)])
        xy = decode(self.run('fan', x), self.how)
        k = crops[:, 2, None, None] / 256
        return self.lifted(crops[:, None, :2] + (xy + 0.5) * k - 0.5)

    def lifted(self, pts):
        """lib/models/lifter.c, all faces at once."""
        at = pts[:, INNER:].mean(1, keepdims=True)
        p, q = pts[:, INNER:] - at, self.reference[INNER:]
        q = q - q.mean(0)
        a = (q * p).sum((1, 2))
        b = (q[:, 0] * p[..., 1] - q[:, 1] * p[..., 0]).sum(1)
        n = np.hypot(a, b)
        scale = np.sqrt((p * p).sum((1, 2)) / (q * q).sum())
        turn = np.zeros((len(pts), 3, 3))
        turn[:, 0, 0] = turn[:, 1, 1] = a / n
        turn[:, 1, 0], turn[:, 0, 1] = b / n, -b / n
        turn[:, 2, 2] = 1
        flat = (pts - at) @ turn[:, :2, :2] / scale[:, None, None]
        points, rotation, near, head = (
            t.numpy().astype(np.float64) for t in self.run(
                'lift', flat.astype(np.float32).reshape(-1, 136)))
        xyz = points.reshape(-1, 68, 3) @ turn.transpose(0, 2, 1)
        xyz *= scale[:, None, None]
        xyz[..., :2] += at
        xyz[..., 2] -= xyz[..., 2].mean(1, keepdims=True)
        # Pose, and the head's place in the picture.
        u, _, v = np.linalg.svd(rotation.reshape(-1, 3, 3))
        u[:, :, 2] *= np.sign(np.linalg.det(u @ v))[:, None]
        r = turn @ u @ v
        seen = head.reshape(len(pts), -1, 3)[:, :68] @ r.transpose(0, 2, 1)
        by = np.maximum(1 - np.clip(near, 0, 0.5) * seen[..., 2], 0.05)
        seen[..., :2] /= by[..., None]
        seen -= seen.mean(1, keepdims=True)
        off = xyz - xyz.mean(1, keepdims=True)
        self.place = r, (seen * off).sum((1, 2)) / (seen * seen).sum((1, 2))
        return xyz

    def one_pass(self, part, batch, out=None):
        f = getattr(self, part)
        start = time.perf_counter()
        for i in range(0, self.n, batch):
            at = np.arange(i, min(i + batch, self.n))
            rows = f(at).reshape(len(at), -1)
            if out is not None:
                out[at, :rows.shape[1]] = rows
        return (time.perf_counter() - start) * 1e3 / self.n


def choose(peer, part):
    best = (np.inf, None)
    for form in FORMS:
        for batch in BATCHES:
            peer.prepare(part, form, batch)
            peer.one_pass(part, batch)
            best = min(best, (min(peer.one_pass(part, batch)
                                  for _ in range(2)), (form, batch)))
    print(*best[1])


def compare(a, b, limit):
    a, b = (np.fromfile(p, '<f4').reshape(-1, 204) for p in (a, b))
    off = np.abs(a.astype(np.float64) - b)
    told = off[:, np.abs(a).max(0) > 0]  # the others are not used
    print('differ by %.2g px at most, %.2g in the mean' % (
        told.max(), told.mean()))
    return int(not told.mean() <= float(limit))


def main():
    if sys.argv[1] == 'compare':
        return compare(*sys.argv[2:5])
    part, data, landmarks, lift, detector = sys.argv[1:6]
    torch.set_num_threads(int(sys.argv[6]))
    cv2.setNumThreads(int(sys.argv[6]))
    peer = Peer(data, landmarks, lift, detector)
    with torch.no_grad():
        if len(sys.argv) < 9:
            choose(peer, part)
            return 0
        batch = int(sys.argv[9])
        out = np.zeros((peer.n, 204), '<f4')
        peer.prepare(part, sys.argv[8], batch)
        for _ in range(2):  # jit settles in the second
            peer.one_pass(part, batch, out)
        ms = sorted(peer.one_pass(part, batch)
                    for _ in range(int(sys.argv[7])))
    out.tofile(sys.argv[10])
    print('%.4f' % ms[len(ms) // 2])
    return 0


if __name__ == '__main__':
    sys.exit(main())
