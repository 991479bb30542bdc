"""Generated views against the truth: rendered heads are drawn in a grid of
poses; the generator turns the picture of one pose to all the others; PSNR (dB)
inside the points' hull and over the whole picture; the peer is the unchanged
source. Means over heads.

usage: views_truth.py BUILD [--source RX,RY] [--heads N] [--size PX]
                      [--rx LIST] [--ry LIST]
"""
import argparse
import os
import subprocess
import sys
import tempfile

import cv2
import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(__file__), '..', 'tests', 'py'))
from facet_tape import read  # noqa: E402


def psnr(a, b, mask):
    e = ((a.astype(np.float64) - b) ** 2)[mask]
    return 10 * np.log10(255 ** 2 / max(e.mean(), 1e-9))


def main():
    p = argparse.ArgumentParser()
    p.add_argument('build')
    p.add_argument('--source', default='0,0')
    p.add_argument('--heads', default='4')
    p.add_argument('--size', default='160')
    p.add_argument('--rx', default='-20,0,20')
    p.add_argument('--ry', default='-45,-20,0,20,45')
    a = p.parse_args()
    stage = os.path.join(a.build, 'stages')
    with tempfile.TemporaryDirectory() as d:
        def run(name, out, *args, stdin=None):
            with open(f'{d}/{out}', 'wb') as f:
                subprocess.run([f'{stage}/{name}', '--stdio', *args], check=True,
                               stdin=stdin and open(f'{d}/{stdin}', 'rb'),
                               stdout=f)
            with open(f"{d}/{out}", "rb") as f:
                return [i["fields"] for i in read(f)]
        heads = run('head-renderer', 'heads.tape', '--heads', a.heads, '--size',
                    a.size, f'--rx={a.rx}', f'--ry={a.ry}', '--fov', '0',
                    '--grain', '0')
        want = np.array([float(v) for v in a.source.split(',')])
        source = {h['identity']: h for h in heads
                  if np.allclose(h['pose_deg'][:2], want)}
        args = []
        for k, h in enumerate(heads):
            s = source[h['identity']]
            for name, v in (('f', s['frame']), ('p', s['landmarks_true']),
                            ('t', h['landmarks_true'])):
                np.save(f'{d}/{name}{k}.npy', v)
            args += ['--', f'frame=npy:{d}/f{k}.npy',
                     f'landmarks=npy:{d}/p{k}.npy', f'target=npy:{d}/t{k}.npy']
        subprocess.run([os.path.join(a.build, 'facet'), 'tape', 'make', '-o',
                        f'{d}/in.tape', *args[1:]], check=True)
        views = run('generator', 'out.tape', stdin='in.tape')
    rows = {}
    for h, v in zip(heads, views):
        s = source[h['identity']]
        hull = cv2.convexHull(h['landmarks_true'][:, :2].astype(np.float32))
        face = np.zeros(h['frame'].shape[:2], np.uint8)
        cv2.fillConvexPoly(face, hull.astype(np.int32), 1)
        whole = np.ones_like(face)
        rows.setdefault(tuple(h['pose_deg'][:2]), []).append(
            [psnr(x, h['frame'], m > 0) for m in (face, whole)
             for x in (v['generated'], s['frame'])])
    for (rx, ry), r in sorted(rows.items()):
        if not np.allclose((rx, ry), want):
            f, fs, w, ws = np.mean(r, 0)
            for what, ours, peer in (('face', f, fs), ('picture', w, ws)):
                name = f'view rx {rx:+.0f} ry {ry:+.0f}, {what}'
                print(f'{name:32} ours {ours:8.2f} dB       '
                      f'peer {peer:8.2f} dB       ratio {ours / peer:.2f}')


main()
