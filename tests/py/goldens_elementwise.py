#!/usr/bin/python3
"""Make tests/golden/nn-elementwise.safetensors with PyTorch (run from the
repository root): activations, add, multiply, scale, normalize, concat, slice.
With --check compare instead of writing."""
import sys

import torch
import torch.nn.functional as F

from nn_goldens import Goldens, away, noise, uniform

SHAPE = {'c3': (2, 3, 5, 7), 'c20': (2, 20, 2, 5), 'c33': (2, 33, 2, 3)}


def activations(g):
    ops = {'relu': lambda x, p: F.relu(x),
           'leaky_relu': lambda x, p: F.leaky_relu(x, 0.2),
           'sigmoid': lambda x, p: torch.sigmoid(x),
           'tanh': lambda x, p: torch.tanh(x),
           'silu': lambda x, p: F.silu(x)}
    for k, (name, run) in enumerate(ops.items()):
        for j, (size, shape) in enumerate(SHAPE.items()):
            x = away(noise(100 + 10 * k + j, *shape, scale=2))
            g.case('%s.%s' % (name, size), [x], run)
    for j, (size, n) in enumerate((('c3', 1), ('c20', 20), ('c33', 33))):
        x = away(noise(170 + j, *SHAPE[size]))
        g.case('prelu.' + size, [x], lambda x, p: F.prelu(x, p['slope']),
               {'slope': uniform(180 + j, 0.1, 0.5, n)})


def sums(g):
    for j, (size, shape) in enumerate(SHAPE.items()):
        a, b = noise(200 + j, *shape), noise(210 + j, *shape)
        g.case('add.' + size, [a, b], lambda a, b, p: a + b)
        g.case('mul.' + size, [a, b], lambda a, b, p: a * b)
        gap = away(a + b) - b
        g.case('add_relu.' + size, [gap, b], lambda a, b, p: F.relu(a + b))
        n, c, h, w = shape
        for k, (form, s) in enumerate((('channel', (n, c, 1, 1)),
                                       ('pixel', (n, 1, h, w)),
                                       ('one', (n, 1, 1, 1)))):
            g.case('mul_%s.%s' % (form, size),
                   [a, noise(220 + 10 * k + j, *s)], lambda a, b, p: a * b)
        g.case('scale.' + size, [a], lambda a, p: a * -1.5 + 0.25)
    g.case('square', [noise(260, *SHAPE['c20'])], lambda a, p: a * a)
    mean = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
    std = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
    g.case('normalize', [noise(250, *SHAPE['c3'])],
           lambda x, p: (x - mean) / std)


def channels(g):
    for j, parts in enumerate(((3, 5), (16, 16, 20), (7, 16, 33), (16,))):
        x = [noise(300 + 10 * j + i, 2, c, 2, 3) for i, c in enumerate(parts)]
        g.case('concat.%d' % j, x,
               lambda *a: torch.cat(a[:-1], 1))
    for j, (c, first, n) in enumerate(((20, 0, 3), (33, 16, 17), (40, 5, 20),
                                       (3, 2, 1))):
        g.case('slice.%d' % j, [noise(350 + j, 2, c, 2, 3)],
               lambda x, p, a=first, b=first + n: x[:, a:b])


def main():
    g = Goldens('elementwise', 1000)
    activations(g)
    sums(g)
    channels(g)
    return g.finish(__file__)


if __name__ == '__main__':
    sys.exit(main())
