"""Checks of the generator's views, from the tapes that tests/sh/41-generator.sh
makes. A marker painted on the source at a landmark must appear at that
landmark's target; nothing may be left black or out of range.

usage: generator_check.py make FOLDER | marks FOLDER TAPE
"""
import struct
import sys

import numpy as np


def tape_items(path):
    import msgpack
    data = open(path, 'rb').read()
    assert data[:8] == b'FACETTP1', 'not a tape'
    at = 8
    while at < len(data):
        n, = struct.unpack_from('<I', data, at)
        sizes = struct.unpack_from('<%dQ' % n, data, at + 4)
        at += 4 + 8 * n
        parts = []
        for s in sizes:
            parts.append(data[at:at + s])
            at += s
        at += 8
        head = msgpack.unpackb(parts[0], raw=False, strict_map_key=False)

        def value(v):
            if isinstance(v, dict):
                v = {k.decode() if isinstance(k, bytes) else k: w
                     for k, w in v.items()}
            if isinstance(v, dict) and v.get('nd'):
                raw = parts[v['frame']] if 'frame' in v else v['data']
                return np.frombuffer(raw, v['type']).reshape(v['shape'])
            return v
        fields = head['fields']
        pairs = fields.items() if isinstance(fields, dict) else fields
        yield {k: value(v) for k, v in pairs}


def face(scale, cx, cy):
    sys.argv = ['']
    import importlib.util
    import os
    here = os.path.dirname(os.path.abspath(__file__))
    src = open(os.path.join(here, 'pose_reference.py')).read()
    space = {'__name__': 'pose_reference'}
    exec(compile(src.rsplit('main()', 1)[0], 'pose_reference.py', 'exec'),
         space)
    return space['face'](scale, cx, cy)


# Points seen in every view of up to 20 degrees, apart from each other.
MARKS = [17, 26, 30, 36, 45, 48, 54, 8]


def make(out):
    save = lambda name, a: np.save('%s/%s.npy' % (out, name), a)
    pts = face(60.0, 100.0, 110.0)
    y, x = np.mgrid[0:227, 0:201]
    frame = np.stack([110 + 40 * np.sin(x / 13), 100 + 30 * np.cos(y / 9),
                      90 + 20 * np.sin((x + y) / 15)], -1).astype(np.uint8)
    save('points', pts)
    save('frame', frame)
    save('grey', np.repeat(frame[:, :, 1:2], 3, 2))
    other = frame[:180, ::-1].copy()
    save('other', other)
    save('other_points', face(45.0, 80.0, 90.0))
    dark = np.full((227, 201, 3), 60, np.uint8)
    for i in MARKS:
        d2 = (x - pts[i, 0]) ** 2 + (y - pts[i, 1]) ** 2
        dark = np.maximum(dark, (255 * np.exp(-d2 / 8))[..., None]
                          .astype(np.uint8))
    save('marks', dark)
    save('cut', frame[70:150, 60:191].copy())
    save('cut_points', pts - np.float32([60, 70, 0]))
    save('tiny', frame[:9, :11].copy())
    save('tiny_points', face(3.0, 5.0, 4.0))
    save('outside_points', pts + np.float32([150, 150, 0]))


def marks(tape):
    """Centroids of the markers' light against the targets: 2 px at 60 px
    between the outer eye corners, 1 px in the mean. The head is a fitted
    surface and the brightness round a marker is compressed unevenly."""
    errors = []
    n = 0
    for item in tape_items(tape):
        img = item['generated'][..., 0].astype(float) - 60
        h, w = img.shape
        y, x = np.mgrid[0:h, 0:w]
        assert item['synthetic'] is True and item['method'] == 'warp'
        for i in MARKS:
            tx, ty = item['target'][i, :2]
            near = ((x - tx) ** 2 + (y - ty) ** 2 < 64) & (img > 25)
            assert near.any(), 'marker %d is gone' % i
            wgt = img * near
            cx, cy = (wgt * x).sum() / wgt.sum(), (wgt * y).sum() / wgt.sum()
            errors.append(np.hypot(cx - tx, cy - ty))
        n += 1
    errors = np.array(errors)
    print('%d views, %d markers: mean %.2f px, worst %.2f px'
          % (n, len(errors), errors.mean(), errors.max()))
    assert n == 25 and errors.mean() < 1.0 and errors.max() < 2.5


if __name__ == '__main__':
    if sys.argv[1] == 'make':
        make(sys.argv[2])
    else:
        marks(sys.argv[2])
