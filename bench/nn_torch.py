#!/usr/bin/python3
"""PyTorch's side of bench/nn.py, the peer of bench/nn_nets.c; the same
commands: nn_torch.py NET [--side N] [--batch N] [--train] [--threads N]
[--weights FILE] [--memory FORM].

FILE is what nn_nets --dump wrote: parameters, and bench.in and bench.target.
Then, line by line on stdin (answers end in a newline, "error TEXT" is one):

    run FORM N     N passes (steps), milliseconds each
    out FORM FILE  results of the last pass (losses of the steps so far), f32

Forms of inference: eager, channels_last, jit (traced, frozen,
optimize_for_inference), jit_last (the same in channels_last), and in bf16
(input and results f32, converted on the way): bf16_last (autocast,
channels_last), bf16_model (all of the model), bf16_jit and bf16_jit_last.
Forms of training: eager, channels_last, bf16_cast and bf16_last (autocast)."""
import argparse
import os
import sys
import time

import torch

sys.path.insert(0, os.path.join(os.path.dirname(__file__), '../tests/py'))
import nets_torch as nets  # noqa: E402
import torch_jit  # noqa: E402
from fan_torch import read_safetensors  # noqa: E402

LAST = torch.channels_last
BF16 = torch.bfloat16
# How to build each network, planes and side of its input.
NETS = {
    'fan-4': (lambda: nets.FAN(4), 3, 256),
    'fan-1-128': (lambda: nets.FAN(1, 128), 3, 256),
    'resnet-depth': (nets.resnet_depth, 71, 256),
    'global-generator': (nets.GlobalGenerator, 6, 224),
    'resnet-18': (nets.ResNet, 3, 224),
    'vgg-19': (nets.VGG19, 3, 224),
    's3fd': (nets.S3FD, 3, 256),
}


class AsTuple(torch.nn.Module):
    """Results as a tuple, which can be traced."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x):
        return tuple(self.net(x))


class Inference:
    def __init__(self, form, net, x):
        last = form.endswith('last')
        jit = 'jit' in form
        cast = form in ('bf16_last', 'bf16')
        whole = form.startswith('bf16') and not cast
        net.eval()
        if last:
            net = net.to(memory_format=LAST)
            x = x.contiguous(memory_format=LAST)
        if whole:
            net = net.to(BF16)
        if jit:
            net = torch_jit.jit(net, x.to(BF16) if whole else x)
        self.net, self.x, self.cast, self.whole = net, x, cast, whole
        self.y = None

    def step(self):
        with torch.no_grad(), torch.autocast('cpu', BF16, enabled=self.cast):
            y = self.net(self.x.to(BF16) if self.whole else self.x)
            self.y = [t.float() for t in y]

    def out(self):
        return torch.cat([t.contiguous().flatten() for t in self.y])


class Training:
    def __init__(self, form, net, x, target):
        self.net = net.train()
        self.x, self.target = x, target
        if form.endswith('last'):
            self.net = net.to(memory_format=LAST)
            self.x = x.contiguous(memory_format=LAST)
        self.cast = form.startswith('bf16')
        self.optim = torch.optim.Adam(net.parameters(), 1e-3, (0.5, 0.999))
        self.losses = []

    def step(self):
        self.optim.zero_grad(set_to_none=True)
        with torch.autocast('cpu', BF16, enabled=self.cast):
            y = self.net(self.x)[0].float()
        # Channels-last results have no view in another shape.
        loss = torch.nn.functional.mse_loss(y.reshape(self.target.shape),
                                            self.target)
        loss.backward()
        self.optim.step()
        self.losses.append(loss.item())

    def out(self):
        return torch.tensor(self.losses[:8])


class Bench:
    def __init__(self, o):
        self.o = o
        self.made = {}
        self.weights = read_safetensors(o.weights) if o.weights else None

    def make(self, form):
        build, planes, side = NETS[self.o.net]
        side = self.o.side or side
        net = build()
        if self.weights:
            w = {k: torch.from_numpy(v.copy()) for k, v in
                 self.weights.items() if not k.startswith('bench.')}
            missing = net.load_state_dict(w, strict=False)
            wrong = missing.unexpected_keys + [
                k for k in missing.missing_keys
                if not k.endswith('num_batches_tracked')]
            if wrong:
                raise RuntimeError('names differ: %s' % wrong[:4])
            x = torch.from_numpy(
                self.weights['bench.in'][:self.o.batch].copy())
        else:
            x = torch.rand(self.o.batch, planes, side, side)
        net = AsTuple(net)
        if not self.o.train:
            return Inference(form, net, x)
        if self.weights:
            target = torch.from_numpy(
                self.weights['bench.target'][:self.o.batch].copy())
        else:
            with torch.no_grad():
                shape = net(x[:1])[0].shape
            target = torch.zeros(self.o.batch, *shape[1:])
        return Training(form, net, x, target)

    def run(self, form, n):
        if form not in self.made:
            self.made[form] = None
            b = self.make(form)
            b.step()
            if not self.o.train:
                b.step()  # jit optimizes on the second pass
            self.made[form] = b
        times = []
        for _ in range(n):
            start = time.perf_counter()
            self.made[form].step()
            times.append((time.perf_counter() - start) * 1e3)
        return ' '.join('%.3f' % t for t in times)

    def answer(self, words):
        if words[0] == 'run':
            return self.run(words[1], int(words[2]))
        y = self.made[words[1]].out().numpy().astype('<f4')
        y.tofile(words[2])
        return 'ok'


def status(key):
    with open('/proc/self/status') as f:
        return next(int(s.split()[1]) / 1024 for s in f if s.startswith(key))


def memory(bench, form):
    """Peak and remaining growth in MB, from a library that has run before."""
    torch.nn.Conv2d(16, 16, 3)(torch.rand(1, 16, 8, 8)).sum().backward()
    before = status('VmRSS')
    bench.run(form, 2)
    print('%.1f %.1f' % (status('VmHWM') - before, status('VmRSS') - before))


def main():
    p = argparse.ArgumentParser()
    p.add_argument('net', choices=NETS)
    p.add_argument('--side', type=int)
    p.add_argument('--batch', type=int, default=1)
    p.add_argument('--threads', type=int, default=2)
    p.add_argument('--train', action='store_true')
    p.add_argument('--weights')
    p.add_argument('--memory')
    o = p.parse_args()
    torch.set_num_threads(o.threads)
    torch.manual_seed(1)
    bench = Bench(o)
    if o.memory:
        memory(bench, o.memory)
        return
    for line in sys.stdin:
        try:
            text = bench.answer(line.split())
        except Exception as why:  # a form that PyTorch cannot run
            text = 'error ' + str(why).replace('\n', ' ')[:200]
        print(text, flush=True)


if __name__ == '__main__':
    main()
