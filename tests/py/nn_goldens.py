"""What the scripts tests/py/goldens_<group>.py share: they run an operator in
PyTorch, forward and backward, and keep inputs and results for
tests/support/nn_check.h.

Under "<case>." a file holds in0.., p.<parameter>, dout, and what PyTorch made
of them: out, din0.., dp.<parameter>, s.<statistic>."""
import os
import sys

import numpy as np
import torch

from fan_torch import read_safetensors, write_safetensors


def noise(seed, *shape, scale=1.0):
    """Normal numbers, the same on every machine."""
    r = np.random.RandomState(seed)
    return (r.standard_normal(shape) * scale).astype(np.float32)


def uniform(seed, lo, hi, *shape):
    return np.random.RandomState(seed).uniform(lo, hi, shape).astype(
        np.float32)


def away(x, gap=0.1, at=0.0):
    """x without the values near a kink, where differences mislead."""
    d = x - np.float32(at)
    side = np.where(d < 0, np.float32(-1), np.float32(1))
    return (x + side * np.float32(gap)).astype(np.float32)


def off_kink(x, run, gap=0.08):
    """x changed until run(x), which grows with x, has no value near 0: for a
    ReLU that follows."""
    x = torch.from_numpy(x.copy())
    for _ in range(200):
        y = run(x)
        bad = (y.abs() < gap).float()
        if not bad.any():
            return x.numpy()
        x = x + bad * torch.where(y < 0, -1.0, 1.0) * gap
    raise ValueError('values stay near 0')


class Goldens:
    """The cases of one file. seed: of the gradients that come from above."""

    def __init__(self, group, seed=1):
        self.path = 'tests/golden/nn-%s.safetensors' % group
        self.arrays = {}
        self.seed = seed

    def keep(self, name, value):
        if isinstance(value, torch.Tensor):
            value = value.detach().numpy()
        assert name not in self.arrays, name
        assert np.isfinite(value).all(), name
        self.arrays[name] = np.array(value, dtype=np.float32, order='C')

    def case(self, name, inputs, run, params=None, stats=None, no_grad=(),
             dout=None):
        """run(*inputs, params) gives the result, a tensor or a loss; params
        is a dict of leaf tensors, with the statistics (which run may change)
        under their own names. no_grad: inputs that are targets or labels.
        dout: the gradient from above; noise, or 1 for a loss, by default."""
        x = [torch.from_numpy(np.ascontiguousarray(a)).clone()
             for a in inputs]
        for i, t in enumerate(x):
            t.requires_grad_(i not in no_grad)
            self.keep('%s.in%d' % (name, i), t)
        p = {}
        for k, v in (params or {}).items():
            p[k] = torch.from_numpy(np.ascontiguousarray(v)).clone()
            p[k].requires_grad_(True)
            self.keep('%s.p.%s' % (name, k), p[k])
        s = {k: torch.from_numpy(np.ascontiguousarray(v)).clone()
             for k, v in (stats or {}).items()}
        for k, v in s.items():
            self.keep('%s.p.%s' % (name, k), v)
        out = run(*x, {**p, **s})
        if dout is None:
            self.seed += 1
            dout = (np.ones((), np.float32) if out.dim() == 0
                    else noise(self.seed, *out.shape))
        out.backward(torch.from_numpy(np.asarray(dout, np.float32)))
        self.keep(name + '.dout', np.asarray(dout))
        self.keep(name + '.out', out)
        for i, t in enumerate(x):
            if i not in no_grad:
                self.keep('%s.din%d' % (name, i),
                          torch.zeros_like(t) if t.grad is None else t.grad)
        for k, v in p.items():
            self.keep('%s.dp.%s' % (name, k),
                      torch.zeros_like(v) if v.grad is None else v.grad)
        for k, v in s.items():
            self.keep('%s.s.%s' % (name, k), v)
        return out

    def finish(self, script):
        """Write the file, or with --check compare with it. For sys.exit."""
        if sys.argv[1:] == ['--check']:
            return self.check()
        write_safetensors(self.path, self.arrays, {
            'made_by': 'tests/py/%s, PyTorch %s' % (
                os.path.basename(script), torch.__version__)})
        print('%s: %d tensors, %d bytes' % (
            self.path, len(self.arrays), os.path.getsize(self.path)))
        return 0

    def check(self):
        old = read_safetensors(self.path)
        if list(old) != list(self.arrays):
            print('%s: other tensors than the script makes' % self.path)
            return 1
        worst = 0.0
        for k, v in self.arrays.items():
            if old[k].shape != v.shape:
                print('%s: %s has another shape' % (self.path, k))
                return 1
            scale = max(float(np.abs(v).max()), 1e-30)
            worst = max(worst, float(np.abs(old[k] - v).max()) / scale)
        print('%s: largest relative difference %.2g' % (self.path, worst))
        return int(worst > 1e-5)


torch.set_num_threads(2)
