#!/usr/bin/python3
"""Make tests/golden/nn-spatial.safetensors with PyTorch (run from the
repository root): pooling, resizing, warping, padding, cropping, reshaping.
--check compares instead of writing. Used by tests/test_nn_spatial.c."""
import sys

import numpy as np
import torch
import torch.nn.functional as F

from nn_goldens import Goldens, noise


def spread(seed, *shape):
    """Different numbers at least 0.02 apart, so that no step of a difference
    changes which one is the largest."""
    n = int(np.prod(shape))
    order = np.random.RandomState(seed).permutation(n)
    return ((order - n / 2) * 0.02).astype(np.float32).reshape(shape)


def steps(seed, *shape):
    """Few different numbers: many windows with two largest ones."""
    return np.random.RandomState(seed).randint(-2, 3, shape).astype(np.float32)


def warp_grid(seed, n, h, w, in_h, in_w, align):
    """Places in and around a picture, none near a pixel's centre line."""
    r = np.random.RandomState(seed)
    out = []
    for size in (in_w, in_h):
        px = r.randint(-2, size + 1, (n, h, w)) + r.uniform(0.2, 0.8,
                                                            (n, h, w))
        out.append(px * 2 / (size - 1) - 1 if align
                   else (2 * px + 1) / size - 1)
    return np.stack(out, 1).astype(np.float32)


def pools(g):
    for name, shape, args in (
            ('max_2', (1, 3, 6, 8), dict(kernel_size=2)),
            ('max_3s2p1', (1, 18, 6, 5), dict(kernel_size=3, stride=2,
                                              padding=1)),
            ('max_3s2_ceil', (1, 5, 8, 6), dict(kernel_size=3, stride=2,
                                                 ceil_mode=True)),
            ('max_3s2p1_ceil', (1, 16, 6, 5), dict(kernel_size=3, stride=2,
                                                   padding=1,
                                                   ceil_mode=True)),
            ('max_5s1p2', (2, 2, 6, 7), dict(kernel_size=5, stride=1,
                                             padding=2)),
            ('max_2s3', (2, 3, 8, 9), dict(kernel_size=2, stride=3)),
            ('max_1', (2, 4, 1, 1), dict(kernel_size=1))):
        g.case(name, [spread(len(g.arrays), *shape)],
               lambda x, p, a=args: F.max_pool2d(x, **a))
    for name, shape in (('max_ties', (1, 17, 7, 5)), ('max_ties3',
                                                      (1, 3, 9, 8))):
        g.case(name, [steps(len(g.arrays), *shape)],
               lambda x, p: F.max_pool2d(x, 3, 2, 1))
    for name, shape, args in (
            ('avg_2', (1, 20, 6, 4), dict(kernel_size=2)),
            ('avg_2odd', (2, 3, 7, 9), dict(kernel_size=2)),
            ('avg_3s2p1', (1, 17, 7, 6), dict(kernel_size=3, stride=2,
                                              padding=1)),
            ('avg_3s2p1_valid', (1, 17, 7, 6),
             dict(kernel_size=3, stride=2, padding=1,
                  count_include_pad=False)),
            ('avg_3s2p1_ceil', (1, 5, 6, 8),
             dict(kernel_size=3, stride=2, padding=1, ceil_mode=True)),
            ('avg_3s2p1_ceil16', (1, 16, 6, 4),
             dict(kernel_size=3, stride=2, padding=1, ceil_mode=True)),
            ('avg_3s2p1_ceil_valid', (1, 16, 6, 4),
             dict(kernel_size=3, stride=2, padding=1, ceil_mode=True,
                  count_include_pad=False)),
            ('avg_4s3_ceil', (1, 4, 9, 8),
             dict(kernel_size=4, stride=3, ceil_mode=True)),
            ('avg_7s1', (1, 18, 8, 8), dict(kernel_size=7, stride=1)),
            ('avg_1', (3, 4, 1, 1), dict(kernel_size=1))):
        g.case(name, [noise(len(g.arrays), *shape)],
               lambda x, p, a=args: F.avg_pool2d(x, **a))
    for i, shape in enumerate(((2, 17, 3, 3), (3, 3, 5, 6), (2, 16, 1, 1))):
        g.case('global_avg%d' % i, [noise(len(g.arrays), *shape)],
               lambda x, p: F.adaptive_avg_pool2d(x, 1))
        g.case('global_max%d' % i, [spread(len(g.arrays), *shape)],
               lambda x, p: F.adaptive_max_pool2d(x, 1))
    g.case('global_max_ties', [steps(len(g.arrays), 1, 18, 3, 4)],
           lambda x, p: F.adaptive_max_pool2d(x, 1))


def resizes(g):
    for name, shape, to in (
            ('nearest_x2', (1, 18, 3, 4), (6, 8)),
            ('nearest_odd', (2, 3, 5, 7), (11, 9)),
            ('nearest_down', (1, 17, 7, 6), (3, 4)),
            ('nearest_same', (1, 5, 4, 6), (4, 6)),
            # In float 14 / 46 x 23 falls short of 7.
            ('nearest_short', (1, 1, 14, 2), (46, 2)),
            ('nearest_one', (2, 18, 1, 1), (3, 2))):
        g.case(name, [noise(len(g.arrays), *shape)],
               lambda x, p, t=to: F.interpolate(x, t, mode='nearest'))
    for name, shape, to in (
            ('linear_x2', (1, 18, 3, 4), (6, 8)),
            ('linear_odd', (1, 3, 5, 7), (11, 9)),
            ('linear_down', (1, 17, 7, 6), (3, 2)),
            ('linear_same', (1, 5, 4, 6), (4, 6)),
            ('linear_one', (2, 18, 1, 1), (3, 2)),
            ('linear_to_one', (2, 6, 5, 4), (1, 1))):
        for align in (False, True):
            g.case(name + ('_corners' if align else ''),
                   [noise(len(g.arrays), *shape)],
                   lambda x, p, t=to, a=align: F.interpolate(
                       x, t, mode='bilinear', align_corners=a))
    for border in (False, True):
        for align in (False, True):
            for n, c, h, w in ((1, 17, 4, 3), (2, 3, 4, 5)):
                name = 'warp%d_%s%s' % (c, 'border' if border else 'zeros',
                                        '_corners' if align else '')
                g.case(name, [noise(len(g.arrays), n, c, h, w),
                              warp_grid(len(g.arrays), n, 3, 7, h, w, align)],
                       lambda x, q, p, b=border, a=align: F.grid_sample(
                           x, q.permute(0, 2, 3, 1), 'bilinear',
                           'border' if b else 'zeros', a))


def pads(g):
    for name, mode, shape, (t, b, l, r) in (
            ('pad_zero', 'constant', (1, 18, 4, 3), (1, 2, 3, 0)),
            ('pad_zero1', 'constant', (2, 3, 1, 1), (1, 1, 2, 2)),
            ('pad_reflect3', 'reflect', (1, 17, 4, 4), (3, 3, 3, 3)),
            ('pad_reflect1', 'reflect', (1, 16, 4, 3), (1, 1, 1, 1)),
            ('pad_reflect_uneven', 'reflect', (2, 3, 4, 5), (3, 0, 1, 4)),
            ('pad_reflect_all', 'reflect', (2, 5, 3, 2), (2, 2, 1, 1)),
            ('pad_replicate', 'replicate', (1, 17, 3, 4), (2, 1, 0, 3)),
            ('pad_replicate1', 'replicate', (2, 4, 1, 1), (2, 0, 1, 1))):
        g.case(name, [noise(len(g.arrays), *shape)],
               lambda x, p, m=mode, q=(l, r, t, b): F.pad(x, q, m))
    g.case('crop', [noise(70, 1, 18, 6, 8)], lambda x, p: x[:, :, 1:5, 2:7])
    g.case('crop_pixel', [noise(71, 2, 5, 6, 4)],
           lambda x, p: x[:, :, 5:6, 3:4])
    g.case('crop_all', [noise(72, 1, 17, 3, 4)], lambda x, p: x * 1)


def shapes(g):
    g.case('flatten', [noise(80, 3, 5, 3, 4)],
           lambda x, p: torch.flatten(x, 1))
    g.case('flatten20', [noise(81, 2, 17, 2, 3)],
           lambda x, p: torch.flatten(x, 1))
    g.case('reshape', [noise(82, 2, 12, 2, 3)],
           lambda x, p: x.reshape(2, 3, 4, 6))
    g.case('reshape_vector', [noise(83, 2, 60, 1, 1)],
           lambda x, p: x.reshape(2, 5, 3, 4))
    g.case('mean', [noise(84, 2, 18, 3, 4)], lambda x, p: x.mean())
    g.case('mean_vector', [noise(85, 3, 7, 1, 1)], lambda x, p: x.mean())


def main():
    g = Goldens('spatial', 100)
    pools(g)
    resizes(g)
    pads(g)
    shapes(g)
    return g.finish(__file__)


if __name__ == '__main__':
    sys.exit(main())
