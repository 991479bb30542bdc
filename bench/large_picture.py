"""A large picture with one rendered head, for measuring: the head with its
backdrop is rendered at up to 4000 pixels and enlarged, and lies on a ground of
soft blotches with the grain of a sensor. By OpenCV; nothing is photographed.

usage: large_picture.py BUILD OUT.jpg WIDTHxHEIGHT FACE_PX [--yaw DEG] [--head N]
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

FILL = 0.33  # height of the face's points over that of its picture


def head(build, width, height, a):
    """The rendered head, width x height."""
    by = min(1.0, 4000 / max(width, height))
    size = f'{round(width * by)}x{round(height * by)}'
    with tempfile.TemporaryFile() as f:
        subprocess.run([f'{build}/stages/head-renderer', '--stdio', '--heads',
                        '1', '--first', a.head, '--frames', '1', '--size', size,
                        '--fill', str(FILL), '--jitter', '0', '--rx', '0',
                        f'--ry={a.yaw}', '--samples', '2', '--grain', '0'],
                       stdout=f, check=True)
        f.seek(0)
        img = next(iter(read(f)))['fields']['frame']
    return cv2.resize(img, (width, height), interpolation=cv2.INTER_CUBIC)


def main():
    p = argparse.ArgumentParser()
    p.add_argument('build')
    p.add_argument('out')
    p.add_argument('size')
    p.add_argument('face', type=float)
    p.add_argument('--yaw', default='0')
    p.add_argument('--head', default='1')
    a = p.parse_args()
    w, h = (int(v) for v in a.size.split('x'))
    rng = np.random.default_rng(1)
    tile_h = min(round(a.face / FILL), h)
    tile_w = min(round(tile_h * 4 / 3), w)
    tile = head(a.build, tile_w, tile_h, a)
    img = cv2.resize(rng.integers(40, 200, (max(h // 300, 2), max(w // 300, 2), 3),
                                  np.uint8), (w, h),
                     interpolation=cv2.INTER_CUBIC)
    if (tile_w, tile_h) == (w, h):
        img = tile
    else:
        soft = np.minimum(1, np.minimum.outer(
            np.minimum(np.arange(tile_h), np.arange(tile_h)[::-1]),
            np.minimum(np.arange(tile_w), np.arange(tile_w)[::-1]))
            / (0.08 * tile_h))[..., None]
        y, x = (h - tile_h) // 2, (w - tile_w) // 2
        part = img[y:y + tile_h, x:x + tile_w]
        part[:] = (soft * tile + (1 - soft) * part + 0.5).astype(np.uint8)
    grain = rng.normal(0, 2, (512, w, 1)).astype(np.int16)
    for y in range(0, h, 512):
        part = img[y:y + 512]
        part[:] = np.clip(part + np.roll(grain, y * 7, 1)[:len(part)], 0, 255)
    cv2.imwrite(a.out, img[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 92])


main()
