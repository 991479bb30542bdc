#!/usr/bin/python3
"""Make tests/golden/nn-norm.safetensors with PyTorch (run from the repository
root): batch norm in training and inference, with a ReLU after it, instance,
group and L2 norm. With --check compare instead of writing."""
import sys

import torch
import torch.nn.functional as F

from nn_goldens import Goldens, noise, off_kink, uniform

SHAPE = {'c3': (2, 3, 5, 7), 'c16': (3, 16, 2, 3), 'c20': (2, 20, 2, 5),
         'c33': (2, 33, 2, 3)}


def affine(seed, c):
    return {'weight': uniform(seed, 0.5, 1.5, c),
            'bias': uniform(seed + 1, -1, 1, c)}


def running(seed, c):
    return {'running_mean': uniform(seed, -1, 1, c),
            'running_var': uniform(seed + 1, 0.3, 2, c)}


def batch(x, p, training, momentum=0.1):
    return F.batch_norm(x, p['running_mean'], p['running_var'],
                        p.get('weight'), p.get('bias'), training, momentum,
                        1e-5)


def batch_norms(g):
    for j, (size, shape) in enumerate(SHAPE.items()):
        c = shape[1]
        # Means far from zero: sums of squares must not lose their digits.
        x = noise(400 + j, *shape) * 2 + uniform(410 + j, -30, 30, 1, c, 1, 1)
        p, s = affine(420 + 2 * j, c), running(440 + 2 * j, c)
        g.case('batch.' + size, [x], lambda x, p: batch(x, p, True), p, s)
        g.case('batch_plain.' + size, [x], lambda x, p: batch(x, p, True, 0.3),
               None, s)
        y = noise(450 + j, *shape)
        g.case('batch_eval.' + size, [y], lambda x, p: batch(x, p, False), p,
               s)
        t = {k: torch.from_numpy(v) for k, v in p.items()}
        r = {k: torch.from_numpy(v) for k, v in s.items()}
        z = off_kink(y, lambda x: F.batch_norm(x, None, None, t['weight'],
                                               t['bias'], True))
        g.case('batch_relu.' + size, [z],
               lambda x, p: F.relu(batch(x, p, True)), p, s)
        z = off_kink(y, lambda x: batch(x, {**t, **r}, False))
        g.case('batch_eval_relu.' + size, [z],
               lambda x, p: F.relu(batch(x, p, False)), p, s)
    x = noise(470, 6, 20, 1, 1)
    g.case('batch.vector', [x], lambda x, p: batch(x, p, True),
           affine(471, 20), running(473, 20))


def others(g):
    for j, (size, shape) in enumerate(SHAPE.items()):
        c = shape[1]
        x = noise(500 + j, *shape) + uniform(510 + j, -5, 5, 1, c, 1, 1)
        p = affine(520 + 2 * j, c)
        g.case('instance.' + size, [x], lambda x, p: F.instance_norm(
            x, weight=p['weight'], bias=p['bias'], eps=1e-5), p)
        g.case('instance_plain.' + size, [x],
               lambda x, p: F.instance_norm(x, eps=1e-5))
        n = {3: 1, 16: 4, 20: 5, 33: 3}[c]
        g.case('group.' + size, [x], lambda x, p, n=n: F.group_norm(
            x, n, p['weight'], p['bias'], 1e-5), p)
        t = {k: torch.from_numpy(v) for k, v in p.items()}
        z = off_kink(noise(530 + j, *shape), lambda x: F.group_norm(
            x, n, t['weight'], t['bias'], 1e-5))
        g.case('group_relu.' + size, [z], lambda x, p, n=n: F.relu(
            F.group_norm(x, n, p['weight'], p['bias'], 1e-5)), p)
        s = {'weight': uniform(540 + j, 5, 10, c)}
        g.case('l2.' + size, [x], lambda x, p: p['weight'].view(
            1, -1, 1, 1) * x / (x.pow(2).sum(1, True) + 1e-3).sqrt(), s)
        g.case('l2_root.' + size, [x], lambda x, p: p['weight'].view(
            1, -1, 1, 1) * x / (x.pow(2).sum(1, True).sqrt() + 1e-3), s)


def main():
    g = Goldens('norm', 2000)
    batch_norms(g)
    others(g)
    return g.finish(__file__)


if __name__ == '__main__':
    sys.exit(main())
