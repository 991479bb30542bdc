#!/usr/bin/python3
"""Make tests/golden/nn-conv.safetensors with PyTorch (run from the repository
root): convolution, transposed convolution, padding before it, linear layers.
--check compares instead of writing. Used by tests/test_nn_conv.c, whose tables
have the same names."""
import math
import sys

import torch
import torch.nn.functional as F

from nn_goldens import Goldens, noise

# name: input [N,C,H,W], output channels, kernel, stride, padding, dilation,
# groups, bias
CONV = {
    'few_in': ((2, 3, 6, 7), 16, (3, 3), 1, 1, 1, 1, True),
    'stem': ((1, 3, 13, 11), 17, (7, 7), 2, 3, 1, 1, False),
    'pixelwise': ((2, 20, 3, 4), 33, (1, 1), 1, 0, 1, 1, True),
    'pixelwise_down': ((2, 16, 5, 6), 17, (1, 1), 2, 0, 1, 1, False),
    'odd': ((1, 33, 5, 4), 3, (3, 3), 1, 1, 1, 1, True),
    'down': ((1, 17, 8, 7), 6, (3, 3), 2, 1, 1, 1, True),
    'down4': ((1, 16, 6, 8), 4, (4, 4), 2, 1, 1, 1, False),
    'uneven': ((2, 5, 6, 7), 7, (3, 2), 1, 1, 1, 1, True),
    'row': ((1, 4, 5, 8), 6, (1, 5), 1, 2, 1, 1, True),
    'stride3': ((1, 6, 11, 10), 7, (5, 4), 3, 2, 1, 1, False),
    'gaps': ((2, 3, 8, 9), 4, (2, 2), 3, 0, 1, 1, False),
    'dilated': ((1, 16, 7, 6), 8, (3, 3), 1, 2, 2, 1, True),
    'dilated3': ((1, 5, 11, 12), 6, (3, 3), 2, 3, 3, 1, True),
    'groups2': ((1, 32, 4, 5), 8, (3, 3), 1, 1, 1, 2, True),
    'groups3': ((2, 12, 6, 5), 9, (3, 3), 1, 1, 1, 3, False),
    'depthwise': ((1, 16, 6, 7), 16, (3, 3), 1, 1, 1, 16, True),
    'depthwise_down': ((1, 20, 7, 6), 20, (3, 3), 2, 1, 1, 20, False),
    'multiplier': ((2, 6, 5, 4), 12, (3, 3), 1, 1, 1, 6, True),
    'few_out': ((1, 16, 4, 17), 3, (5, 5), 1, 2, 1, 1, True),
    'one_out': ((1, 32, 3, 16), 1, (3, 3), 1, 1, 1, 1, False),
    'whole': ((2, 18, 4, 3), 5, (4, 3), 1, 0, 1, 1, True),
    'pixel': ((3, 20, 1, 1), 17, (1, 1), 1, 0, 1, 1, True),
    'pixel_padded': ((2, 16, 1, 1), 5, (3, 3), 1, 1, 1, 1, False),
    'one': ((1, 1, 4, 5), 1, (3, 3), 1, 1, 1, 1, True),
}

# name: input, output channels, kernel, stride, padding, output padding,
# dilation, groups, bias
TRANSPOSED = {
    'rise': ((2, 16, 3, 4), 8, (3, 3), 2, 1, 1, 1, 1, False),
    'rise4': ((1, 5, 4, 5), 9, (4, 4), 2, 1, 0, 1, 1, True),
    'rise2': ((2, 20, 3, 4), 17, (2, 2), 2, 0, 0, 1, 1, True),
    'level': ((1, 17, 4, 5), 6, (3, 3), 1, 1, 0, 1, 1, True),
    'groups': ((2, 12, 4, 3), 6, (3, 3), 2, 1, 0, 1, 3, True),
    'depthwise': ((1, 8, 4, 5), 8, (4, 4), 2, 1, 0, 1, 8, False),
    'dilated': ((2, 6, 4, 5), 5, (3, 3), 1, 2, 1, 2, 1, True),
    'unreached': ((2, 4, 3, 4), 4, (1, 1), 2, 0, 1, 1, 1, True),
    'apart': ((1, 16, 3, 2), 10, (2, 2), 3, 0, 2, 1, 1, True),
    'from_pixel': ((2, 18, 1, 1), 3, (4, 4), 1, 0, 0, 1, 1, True),
    'rise3': ((1, 3, 4, 3), 3, (7, 7), 3, 2, 2, 1, 1, False),
    'uneven': ((1, 5, 4, 3), 6, (2, 5), 2, 1, 1, 1, 1, True),
    'few_out': ((1, 32, 4, 8), 3, (4, 4), 2, 1, 0, 1, 1, True),
}

# name: input, mode, (top, bottom, left, right), and the convolution behind
PADDED = {
    'reflect1': ((1, 16, 5, 6), 'reflect', (1, 1, 1, 1), 8, (3, 3), 1, 0,
                 True),
    'reflect3': ((1, 16, 4, 16), 'reflect', (3, 3, 3, 3), 1, (7, 7), 1, 0,
                 True),
    'zero_even': ((1, 5, 4, 6), 'constant', (2, 2, 2, 2), 6, (3, 3), 1, 1,
                  False),
    'zero_uneven': ((1, 5, 4, 6), 'constant', (1, 0, 2, 1), 6, (3, 3), 2, 0,
                    True),
}

# name: samples, features in and out, bias
LINEAR = {
    'linear': (3, 21, 10, True),
    'bare': (2, 48, 17, False),
    'one': (1, 1, 1, True),
    'wide': (5, 7, 40, True),
    'alone': (1, 130, 5, False),
}


def weights(seed, shape, bias, fan_in):
    """Weights whose sums are about 1."""
    p = {'weight': noise(seed, *shape, scale=1 / math.sqrt(fan_in))}
    if bias:
        p['bias'] = noise(seed + 1000, bias)
    return p


def convolutions(g):
    for i, (name, (shape, out, k, stride, pad, dil, groups, bias)) in \
            enumerate(CONV.items()):
        each = shape[1] // groups
        p = weights(300 + i, (out, each, *k), out * bias, each * k[0] * k[1])
        g.case('conv.' + name, [noise(i, *shape)],
               lambda x, p, a=(stride, pad, dil, groups): F.conv2d(
                   x, p['weight'], p.get('bias'), *a), p)


def transposed(g):
    for i, (name, (shape, out, k, stride, pad, more, dil, groups, bias)) in \
            enumerate(TRANSPOSED.items()):
        p = weights(400 + i, (shape[1], out // groups, *k), out * bias,
                    shape[1] // groups * k[0] * k[1])
        g.case('transposed.' + name, [noise(100 + i, *shape)],
               lambda x, p, a=(stride, pad, more, groups, dil):
               F.conv_transpose2d(x, p['weight'], p.get('bias'), *a), p)


def padded(g):
    for i, (name, (shape, mode, frame, out, k, stride, pad, bias)) in \
            enumerate(PADDED.items()):
        t, b, l, r = frame
        p = weights(500 + i, (out, shape[1], *k), out * bias,
                    shape[1] * k[0] * k[1])
        g.case('padded.' + name, [noise(200 + i, *shape)],
               lambda x, p, m=mode, q=(l, r, t, b), s=stride, d=pad: F.conv2d(
                   F.pad(x, q, m), p['weight'], p.get('bias'), s, d), p)


def linears(g):
    for i, (name, (n, features, out, bias)) in enumerate(LINEAR.items()):
        g.case('linear.' + name, [noise(250 + i, n, features, 1, 1)],
               lambda x, p: F.linear(x.flatten(1), p['weight'],
                                     p.get('bias')),
               weights(600 + i, (out, features), out * bias, features))
    g.case('linear.flat', [noise(260, 2, 17, 2, 3)],
           lambda x, p: F.linear(x.flatten(1), p['weight'], p['bias']),
           weights(610, (6, 102), 6, 102))


def together(g):
    """Weights that two layers share, and a small classifier."""
    g.case('shared', [noise(270, 1, 16, 4, 5)],
           lambda x, p: F.conv2d(F.conv2d(x, p['weight'], p['bias'], 1, 1),
                                 p['weight'], p['bias'], 1, 1),
           weights(620, (16, 16, 3, 3), 16, 144))
    p = {'%s.%s' % (layer, k): v
         for layer, q in (('conv', weights(621, (20, 5, 3, 3), 20, 45)),
                          ('fc', weights(622, (3, 20), 3, 20)))
         for k, v in q.items()}
    g.case('classifier', [noise(271, 2, 5, 6, 5)],
           lambda x, p: F.linear(
               F.conv2d(x, p['conv.weight'], p['conv.bias']).mean((2, 3)),
               p['fc.weight'], p['fc.bias']), p)


def main():
    g = Goldens('conv', 3000)
    convolutions(g)
    transposed(g)
    padded(g)
    linears(g)
    together(g)
    return g.finish(__file__)


if __name__ == '__main__':
    sys.exit(main())
