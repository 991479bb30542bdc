#!/usr/bin/python3
"""Make what bench/faces.c and bench/faces_torch.py work on: rendered heads.

usage: faces_data.py TAPE WEIGHTS OUT

TAPE is head-renderer's; WEIGHTS, the landmark network's, say in their metadata
which crop it wants. OUT holds frames u8[N,H,W,3], boxes f32[N,4] and points
f32[N,68,2] (the true ones), and crops f32[N,3,256,256] for the network alone."""
import os
import sys

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(__file__), '../tests/py'))
import facet_tape  # noqa: E402
from faces_torch import crop_of_box, cut, metadata  # noqa: E402
from fan_torch import write_safetensors  # noqa: E402


def main():
    tape, weights, out = sys.argv[1:4]
    rule = metadata(weights).get('crop', 'fan')
    with open(tape, 'rb') as f:
        items = [h['fields'] for h in facet_tape.read(f)]
    frames = np.stack([i['frame'] for i in items])
    boxes = np.stack([i['box'] for i in items]).astype(np.float32)
    points = np.stack([i['landmarks_true'][:, :2] for i in items])
    crops = np.stack([cut(f, *crop_of_box(rule, b))
                      for f, b in zip(frames, boxes.astype(np.float64))])
    write_safetensors(out, {
        'frames': frames, 'boxes': boxes, 'crops': crops,
        'points': np.ascontiguousarray(points, dtype=np.float32)}, {})


if __name__ == '__main__':
    main()
