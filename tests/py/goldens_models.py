#!/usr/bin/python3
"""Make tests/golden/nn-models.safetensors with PyTorch (run from the
repository root): what the networks of nets_torch.py give for weights and
inputs made from names, forward in training and in inference, and gradients of
all parameters, as digests.

  goldens_models.py           write the goldens
  goldens_models.py --check   compare instead of writing
  goldens_models.py --search [CASE ...]   look for better SALTS

Under "<case>." stand eval.<i> and train.<i>, the outputs, din, the gradient of
the input, g.<parameter>, and s.<statistic> after one step in training. Each is
a digest: Euclidean norm, sum with signs made from the name, largest absolute
value, and some elements at places made from the name.

A gradient jumps where a ReLU's input changes its sign, or a pool its maximum.
Two correct programs would disagree by a per cent where rounding decides, so
inputs are chosen (SALTS) where no value comes near to that, and batch norms of
the large networks shift theirs away from 0."""
import sys
import time

import numpy as np
import torch
import torch.nn.functional as F

from fan_torch import hashed_uniform, name_seed
from nets_torch import (FAN, ResNet, S3FD, VGG19, GlobalGenerator, PatchGAN,
                        UNet, resnet_depth, seed_weights, seeded_noise,
                        vgg_loss)
from nn_goldens import Goldens

RELU = float(np.sqrt(2.0))  # for networks without norms
ELEMENTS = 16               # of each digest
OUTPUT_ELEMENTS = 64

# name: network, gain of its weights, shift of norms, input
CASES = {
    'fan': (lambda: FAN(1, 64), 1, 3, (2, 3, 128, 128)),
    'fan-2': (lambda: FAN(2, 32, 16, 32, 17, every=True), 1, 3,
              (2, 3, 128, 192)),
    'depth': (lambda: resnet_depth(blocks=(2, 2, 3, 2), width=4, channels=23,
                                   classes=20), 1, 0, (1, 23, 224, 256)),
    's3fd': (lambda: S3FD(8), RELU, 0, (2, 3, 64, 96)),
    'generator': (GlobalGenerator, 1, 3, (2, 6, 64, 64)),
    'generator-instance': (lambda: GlobalGenerator(
        5, 2, 8, 2, 2, 'instance'), 1, 0, (2, 5, 32, 40)),
    'resnet-18': (ResNet, 1, 0, (2, 3, 64, 64)),
    'resnet-34': (lambda: ResNet((3, 4, 6, 3), width=8, head='embedding'), 1,
                  0, (3, 3, 80, 72)),
    'discriminator': (lambda: ResNet(width=16, head='discriminator',
                                     dropout=0.0), 1, 0, (2, 3, 96, 96)),
    'vgg-19': (lambda: VGG19(8), RELU, 0, (2, 3, 48, 41)),
    'unet': (lambda: UNet(4, 3, 3, 8), 1, 0, (2, 4, 37, 45)),
    'unet-group': (lambda: UNet(3, 2, 2, 16, 'group', True), 1, 0,
                   (2, 3, 31, 24)),
    'unet-instance': (lambda: UNet(3, 1, 2, 8, 'instance'), 1, 0,
                      (2, 3, 32, 24)),
    'patch-gan': (lambda: PatchGAN(3, 8), 1, 0, (2, 3, 64, 80)),
    'patch-gan-instance': (lambda: PatchGAN(6, 8, 2, 'instance'), 1, 0,
                           (2, 6, 48, 48)),
}
SALTS = {'fan': 1, 'fan-2': 285, 'depth': 122, 's3fd': 357, 'generator': 32,
    'generator-instance': 235, 'resnet-18': 64, 'resnet-34': 15,
    'discriminator': 163, 'vgg-19': 187, 'unet': 329, 'unet-group': 143,
    'unet-instance': 72, 'patch-gan': 139, 'patch-gan-instance': 264}


def given_input(name, shape, salt):
    return seeded_noise('%s.in%d' % (name, salt), *shape)


def digest(name, value, elements=ELEMENTS):
    """As digest() in tests/support/model_weights.c."""
    v = value.detach().numpy().ravel()
    seed = name_seed(name)
    u = hashed_uniform(seed, elements).astype(np.float64)
    at = (u * v.size).astype(np.int64)
    wide = v.astype(np.float64)
    sign = np.where(hashed_uniform(seed, v.size) < 0.5, -1.0, 1.0)
    head = [np.sqrt((wide * wide).sum()), (wide * sign).sum(),
            np.abs(wide).max()]
    return np.concatenate([np.float32(head), v[at]])


def run_case(g, name, make, gain, shift, shape):
    def put(part, value, elements=ELEMENTS):
        full = '%s.%s' % (name, part)
        g.keep(full, digest(full, value, elements))

    net = seed_weights(make(), gain, shift)
    x = given_input(name, shape, SALTS.get(name, 0))
    g.keep(name + '.salt', np.float32([SALTS.get(name, 0)]))
    net.eval()
    with torch.no_grad():
        for i, out in enumerate(net(x)):
            put('eval.%d' % i, out, OUTPUT_ELEMENTS)
    net.train()
    x.requires_grad_(True)
    outs = net(x)
    douts = [seeded_noise('%s.dout.%d' % (name, i), *out.shape)
             for i, out in enumerate(outs)]
    for i, out in enumerate(outs):
        put('train.%d' % i, out, OUTPUT_ELEMENTS)
    torch.autograd.backward(outs, douts)
    put('din', x.grad)
    for k, p in net.named_parameters():
        put('g.' + k, p.grad)
    for k, b in net.named_buffers():
        if not k.endswith('num_batches_tracked'):
            put('s.' + k, b)


def run_vgg_loss(g):
    vgg = seed_weights(VGG19(8), RELU)
    a = seeded_noise('vgg-loss.a', 2, 3, 32, 48).requires_grad_(True)
    b = seeded_noise('vgg-loss.b', 2, 3, 32, 48)
    loss = vgg_loss(vgg, a, b)
    loss.backward()
    g.keep('vgg-loss.loss', np.float32([loss.item()]))
    g.keep('vgg-loss.din', digest('vgg-loss.din', a.grad, OUTPUT_ELEMENTS))


def run_identity_loss(g):
    net = seed_weights(ResNet((3, 4, 6, 3), width=8, head='embedding')).eval()
    a = seeded_noise('identity.a', 2, 3, 48, 64).requires_grad_(True)
    b = seeded_noise('identity.b', 2, 3, 48, 64)
    with torch.no_grad():
        fb = net(b)[0]
    loss = F.cosine_embedding_loss(net(a)[0], fb, torch.ones(1))
    loss.backward()
    g.keep('identity.loss', np.float32([loss.item()]))
    g.keep('identity.din', digest('identity.din', a.grad, OUTPUT_ELEMENTS))


class Margin:
    """The least distance from a kink of all ReLUs and maximum pools within,
    in units of the root mean square of their inputs."""

    def __enter__(self):
        self.least = np.inf
        self.kept = {k: getattr(F, k)
                     for k in ('relu', 'leaky_relu', 'max_pool2d')}
        F.relu = lambda x, *a, **k: self.relu('relu', x)
        F.leaky_relu = lambda x, slope=0.01, *a, **k: self.relu(
            'leaky_relu', x, slope)
        F.max_pool2d = self.pool
        return self

    def __exit__(self, *_):
        for k, v in self.kept.items():
            setattr(F, k, v)

    def see(self, gap, x):
        if gap.numel():
            self.least = min(self.least, float(
                gap.min() / (x * x).mean().sqrt()))

    def relu(self, name, x, *a):
        self.see(x.abs(), x)
        return self.kept[name](x, *a)

    def pool(self, x, kernel, stride=None, pad=0, *a, **k):
        u = F.unfold(F.pad(x, [pad] * 4, value=-1e30), kernel,
                     stride=stride or kernel)
        u = u.reshape(x.shape[0], x.shape[1], kernel * kernel, -1)
        two = u.topk(2, 2)[0]
        gap = (two[:, :, 0] - two[:, :, 1])[two[:, :, 1] > 0]
        self.see(gap, x)
        return self.kept['max_pool2d'](x, kernel, stride, pad)


def margin(name, salt):
    make, gain, shift, shape = CASES[name]
    net = seed_weights(make(), gain, shift).train().double()
    with torch.no_grad(), Margin() as m:
        net(given_input(name, shape, salt).double())
    return m.least


def search(names):
    """Within half a minute for each, the input farthest from any kink."""
    for name in names or CASES:
        best, stop = (-1, 0), time.time() + 30
        for salt in range(400):
            best = max(best, (margin(name, salt), salt))
            if time.time() > stop:
                break
        print("%s: margin %.1e with %d of %d" % (name, *best, salt + 1),
              flush=True)
    return 0


def main():
    if sys.argv[1:2] == ['--search']:
        return search(sys.argv[2:])
    g = Goldens('models')
    for name, case in CASES.items():
        run_case(g, name, *case)
    run_vgg_loss(g)
    run_identity_loss(g)
    return g.finish('goldens_models.py')


if __name__ == '__main__':
    sys.exit(main())
