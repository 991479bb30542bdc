#!/usr/bin/python3
"""Make tests/golden/nn-loss.safetensors with PyTorch (run from the repository
root): losses, and the cosine-margin head after its papers. --check compares
instead of writing. Used by tests/test_nn_loss.c."""
import math
import sys

import numpy as np
import torch
import torch.nn.functional as F

from nn_goldens import Goldens, noise, uniform


def clear_of(x, *kinks, gap=0.1):
    """x, with what lies near a kink moved to the gap's edge."""
    x = x.copy()
    for k in kinks:
        d = x - np.float32(k)
        edge = np.float32(k) + np.where(d < 0, -gap, gap)
        x = np.where(np.abs(d) < gap, edge, x).astype(np.float32)
    return x


def apart(seed, *shape, kinks=(0.0,)):
    """Two arrays whose difference stays away from the kinks of a loss."""
    a, d = noise(seed, *shape), noise(seed + 1000, *shape)
    return a, (a - clear_of(d, *kinks)).astype(np.float32)


def labels(seed, classes, ignored, *shape):
    r = np.random.RandomState(seed)
    y = r.randint(0, classes, shape).astype(np.float32)
    if ignored:
        y[r.uniform(size=shape) < 0.3] = -100
        y.flat[0] = classes - 1
    return y


def elementwise(g):
    for i, shape in enumerate(((2, 18, 3, 4), (3, 5, 5, 7), (4, 9, 1, 1))):
        a, b = apart(10 + i, *shape)
        g.case('mse%d' % i, [a, b], lambda x, t, p: F.mse_loss(x, t))
        g.case('l1_%d' % i, [a, b], lambda x, t, p: F.l1_loss(x, t))
        for beta in (1.0, 0.3):
            a, b = apart(20 + i, *shape, kinks=(0.0, beta, -beta))
            g.case('smooth%g_%d' % (beta, i), [a, b],
                   lambda x, t, p, k=beta: F.smooth_l1_loss(x, t, beta=k))
        g.case('bce%d' % i, [noise(30 + i, *shape, scale=4),
                             uniform(40 + i, 0, 1, *shape)],
               lambda x, t, p: F.binary_cross_entropy_with_logits(x, t),
               no_grad=(1,))
        x = noise(50 + i, *shape, scale=1.5)
        x = clear_of(x, 1.0, -1.0)
        g.case('hinge_real%d' % i, [x], lambda x, p: F.relu(1 - x).mean())
        g.case('hinge_fake%d' % i, [x], lambda x, p: F.relu(1 + x).mean())
        g.case('hinge_generator%d' % i, [x], lambda x, p: -x.mean())
    a, b = apart(60, 2, 4, 3, 3)
    b[0] = a[0]
    g.case('l1_equal', [a, b], lambda x, t, p: F.l1_loss(x, t))
    a, b = apart(62, 2, 4, 3, 3)
    g.case('smooth0', [a, b], lambda x, t, p: F.smooth_l1_loss(x, t, beta=0))
    big = np.array([[-90, 90, -40, 40], [0, 1e-3, 200, -200]], np.float32)
    g.case('bce_big', [big.reshape(2, 4, 1, 1),
                       uniform(61, 0, 1, 2, 4, 1, 1)],
           lambda x, t, p: F.binary_cross_entropy_with_logits(x, t),
           no_grad=(1,))


def entropy(g):
    for name, n, k, h, w, ignored, smooth, scale in (
            ('ce', 5, 7, 1, 1, False, 0, 2), ('ce_smooth', 5, 20, 1, 1, False,
                                              0.1, 2),
            ('ce_ignored', 6, 5, 1, 1, True, 0, 2),
            ('ce_pixels', 2, 4, 9, 8, True, 0, 2),
            ('ce_pixels_smooth', 2, 18, 5, 4, True, 0.2, 2),
            ('ce_big', 4, 6, 1, 1, False, 0, 80),
            ('ce_one', 3, 1, 2, 2, False, 0, 1)):
        x = noise(len(g.arrays), n, k, h, w, scale=scale)
        y = labels(len(g.arrays), k, ignored, n, 1, h, w)
        g.case(name, [x, y],
               lambda x, y, p, s=smooth: F.cross_entropy(
                   x, y[:, 0].long(), label_smoothing=s), no_grad=(1,))


def cosine(g):
    a, b = noise(80, 6, 21, 1, 1), noise(81, 6, 21, 1, 1)
    b[:3] += a[:3]
    y = np.array([1, -1, -1, 1, -1, 1], np.float32).reshape(6, 1, 1, 1)
    for margin in (0.0, 0.25):
        g.case('cosine%g' % margin, [a, b, y],
               lambda a, b, y, p, m=margin: F.cosine_embedding_loss(
                   a.flatten(1), b.flatten(1), y.flatten(), margin=m),
               no_grad=(2,))


def margin_head(x, w, label, s, m, m2):
    """ArcFace's logits as in its authors' and the usual PyTorch code
    (easy_margin off), with CosFace's margin; labels below 0: no margin."""
    cos = F.linear(F.normalize(x), F.normalize(w))
    sine = torch.sqrt((1.0 - cos ** 2).clamp(0, 1))
    phi = cos * math.cos(m) - sine * math.sin(m)
    phi = torch.where(cos > math.cos(math.pi - m), phi,
                      cos - math.sin(math.pi - m) * m)
    one_hot = torch.zeros_like(cos)
    known = (label >= 0).nonzero().flatten()
    one_hot[known, label[known]] = 1.0
    return s * (one_hot * (phi - m2) + (1 - one_hot) * cos)


def heads(g):
    x, w = noise(90, 7, 19, 1, 1), noise(91, 11, 19)
    # Samples 0 and 1 lie beyond pi - m of their class, sample 2 close to it.
    y = np.array([3, 5, 2, 10, 0, 7, 7], np.float32)
    x[0, :, 0, 0] = -w[3] * 0.7 + x[0, :, 0, 0] * 0.05
    x[1, :, 0, 0] = -w[5] * 2 + x[1, :, 0, 0] * 0.1
    x[2, :, 0, 0] = w[2] * 3 + x[2, :, 0, 0] * 0.3
    for name, s, m, m2 in (('arcface', 30, 0.5, 0), ('cosface', 64, 0, 0.35),
                           ('both', 16, 0.3, 0.2), ('plain', 8, 0, 0)):
        g.case(name, [x, y.reshape(7, 1, 1, 1)],
               lambda x, y, p, s=s, m=m, m2=m2: margin_head(
                   x.flatten(1), p['weight'], y.flatten().long(), s, m, m2),
               params={'weight': w}, no_grad=(1,))
    y[1] = y[4] = -1
    g.case('arcface_unlabelled', [x, y.reshape(7, 1, 1, 1)],
           lambda x, y, p: margin_head(x.flatten(1), p['weight'],
                                       y.flatten().long(), 30, 0.5, 0),
           params={'weight': w}, no_grad=(1,))
    g.case('margin_no_label', [x],
           lambda x, p: margin_head(x.flatten(1), p['weight'],
                                    torch.full((7,), -1), 30, 0.5, 0.1),
           params={'weight': w})


def main():
    g = Goldens('loss', 200)
    elementwise(g)
    entropy(g)
    cosine(g)
    heads(g)
    return g.finish(__file__)


if __name__ == '__main__':
    sys.exit(main())
