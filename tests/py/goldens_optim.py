"""Makes tests/golden/nn-optim.safetensors: steps of optimisers and lives of
learning-rate schedules as PyTorch takes them. With --check it compares.

start [P], grads [T,P]: parameters a [7,5], b [19], c [1] one after another,
and their gradients at each of T steps (given, not computed from the values).
<case>.out [T,P]: the values after each step; .norm [T] what clip_grad_norm_
said; .ema [T,P] the averaged weights. <schedule>.lr [U]: the rate at each
unit; <plateau>.metric [U]: what it was told after the unit before.

Cases are in tests/test_optim.c and tests/test_schedule.c under the same
names. Run from the repository root."""
import sys
import warnings

import numpy as np
import torch
from torch.optim import lr_scheduler
from torch.optim.swa_utils import AveragedModel

from nn_goldens import Goldens, noise

SHAPES = [(7, 5), (19,), (1,)]
SIZES = [int(np.prod(s)) for s in SHAPES]
STEPS = 14
UNITS = 40

SGD, ADAM, ADAMW = torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW

# name: class, its options, ours
CASES = {
    'sgd': (SGD, dict(lr=0.1), {}),
    'sgd-momentum': (SGD, dict(lr=0.05, momentum=0.9), {}),
    'sgd-decay': (SGD, dict(lr=0.05, momentum=0.9, weight_decay=0.01), {}),
    'sgd-nesterov': (SGD, dict(lr=0.05, momentum=0.8, weight_decay=0.02,
                               nesterov=True), {}),
    'sgd-lr': (SGD, dict(lr=0.2, momentum=0.9), dict(fall=0.8)),
    'sgd-norm': (SGD, dict(lr=0.1, momentum=0.9), dict(norm=2.0)),
    'sgd-value': (SGD, dict(lr=0.1), dict(value=0.5)),
    'sgd-ema': (SGD, dict(lr=0.1, momentum=0.5), dict(ema=0.7)),
    'adam': (ADAM, dict(lr=0.01), {}),
    'adam-decay': (ADAM, dict(lr=0.01, weight_decay=0.1), {}),
    'adam-betas': (ADAM, dict(lr=0.02, betas=(0.5, 0.99), eps=1e-3), {}),
    'adam-lr': (ADAM, dict(lr=0.05), dict(fall=0.7)),
    'adam-norm': (ADAM, dict(lr=0.01, weight_decay=0.01), dict(norm=1.5)),
    'adamw': (ADAMW, dict(lr=0.01, weight_decay=0.05), {}),
    'adamw-all': (ADAMW, dict(lr=0.02, betas=(0.8, 0.95), weight_decay=0.3),
                  dict(fall=0.9, norm=7.0, value=1.25, ema=0.9)),
}


class Three(torch.nn.Module):
    def __init__(self, start):
        super().__init__()
        for name, shape, part in zip('abc', SHAPES, split(start)):
            self.register_parameter(name, torch.nn.Parameter(
                torch.from_numpy(part.reshape(shape).copy())))

    def flat(self):
        return torch.cat([p.detach().reshape(-1)
                          for p in self.parameters()]).numpy().copy()


def split(flat):
    return np.split(flat, np.cumsum(SIZES)[:-1])


def steps(g, name, start, grads):
    kind, options, ours = CASES[name]
    model = Three(start)
    optim = kind(model.parameters(), foreach=False, **options)
    decay = ours.get('ema')
    averaged = AveragedModel(model, avg_fn=lambda avg, p, _: (
        decay * avg + (1 - decay) * p)) if decay else None
    out, norms, ema = [], [], []
    for t in range(STEPS):
        for p, shape, part in zip(model.parameters(), SHAPES,
                                  split(grads[t])):
            p.grad = torch.from_numpy(part.reshape(shape).copy())
        for group in optim.param_groups:
            group['lr'] = options['lr'] * ours.get('fall', 1.0) ** t
        if 'norm' in ours:
            norms.append(float(torch.nn.utils.clip_grad_norm_(
                model.parameters(), ours['norm'])))
        if 'value' in ours:
            torch.nn.utils.clip_grad_value_(model.parameters(),
                                            ours['value'])
        optim.step()
        out.append(model.flat())
        if averaged:
            averaged.update_parameters(model)
            ema.append(averaged.module.flat())
    g.keep(name + '.out', np.stack(out))
    if norms:
        g.keep(name + '.norm', np.array(norms))
    if ema:
        g.keep(name + '.ema', np.stack(ema))


def rates(make, metrics=None):
    optim = SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.4)
    schedule = make(optim)
    out = []
    for u in range(UNITS):
        out.append(optim.param_groups[0]['lr'])
        optim.step()
        if metrics is None:
            schedule.step()
        else:
            schedule.step(metrics[u])
    return np.array(out)


def warm(optim, units, rest):
    rise = lr_scheduler.LinearLR(optim, start_factor=1 / units, end_factor=1,
                                 total_iters=units - 1)
    return lr_scheduler.SequentialLR(optim, [rise, rest], milestones=[units])


def closed_cosine(t, total, low):
    """CosineAnnealingLR's closed form (its step() sums up rounding)."""
    return low + (0.4 - low) * (1 + np.cos(np.pi * t / total)) / 2


def schedules(g):
    u = np.arange(UNITS)
    g.keep('step.lr', rates(lambda o: lr_scheduler.StepLR(o, 7, 0.3)))
    g.keep('step-warm.lr', rates(lambda o: warm(
        o, 6, lr_scheduler.StepLR(o, 10, 0.5))))
    ours = rates(lambda o: lr_scheduler.CosineAnnealingLR(
        o, T_max=25, eta_min=0.01))
    ours[26:] = 0.01  # held at the end, where PyTorch turns back up
    assert np.allclose(ours, closed_cosine(np.minimum(u, 25), 25, 0.01))
    g.keep('cosine.lr', ours)
    g.keep('cosine-warm.lr', rates(lambda o: warm(
        o, 5, lr_scheduler.CosineAnnealingLR(o, T_max=UNITS - 5))))
    g.keep('constant-warm.lr', rates(lambda o: warm(
        o, 8, lr_scheduler.ConstantLR(o, 1.0, 1))))
    falling = 3 * np.exp(-u / 6) + 1 + 0.05 * noise(50, UNITS)
    flat = np.full(UNITS, 2.0)
    rising = 1 - np.exp(-u / 5) + 0.02 * noise(51, UNITS)
    for name, metric, options in [
            ('plateau', falling, dict(factor=0.5, patience=2, threshold=1e-2)),
            ('plateau-cool', falling, dict(factor=0.3, patience=0, cooldown=3,
                                           threshold=1e-3, min_lr=0.02)),
            ('plateau-flat', flat, dict(factor=0.1, patience=3,
                                        threshold=1e-4)),
            ('plateau-max', rising, dict(mode='max', factor=0.6, patience=1,
                                         threshold=0.05, min_lr=0.1))]:
        metric = np.float32(metric).astype(np.float64)
        g.keep(name + '.metric', metric)
        g.keep(name + '.lr', rates(
            lambda o: lr_scheduler.ReduceLROnPlateau(o, **options), metric))


def main():
    warnings.filterwarnings('ignore', message='.*epoch parameter')
    g = Goldens('optim')
    start = noise(1, sum(SIZES))
    grads = noise(2, STEPS, sum(SIZES))
    grads[3] *= 10  # one step that clipping is for
    grads[5] *= np.float32(0.01)
    g.keep('start', start)
    g.keep('grads', grads)
    for name in CASES:
        steps(g, name, start, grads)
    schedules(g)
    return g.finish(__file__)


sys.exit(main())
