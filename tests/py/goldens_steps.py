#!/usr/bin/python3
"""Make tests/golden/nn-steps.safetensors with PyTorch (run from the repository
root): ten training steps of GlobalGenerator with MSE, and of the GAN pair of
networks.md, on noise made from names.

  goldens_steps.py           write the goldens
  goldens_steps.py --check   compare instead of writing
  goldens_steps.py --full OUT  the generator at full width, for tests/long
  goldens_steps.py --double  how far float32 is from float64

Adam at 1e-3 turns the smallest difference of a gradient near 0 into a step of
full size, and a ReLU whose input is near 0 makes such differences: PyTorch in
float32 and in float64 part by per cents within ten steps of the pair (try
--double with GAIN 1 and SHIFT 0). So here norms shift their channels away
from 0, and weights before norms are large; then the two agree to 1e-5.

mse.losses [10]; gan.losses [10,3]: the discriminator's, MSE, and the BCE of
the generator's step; gan.mean and gan.var: running statistics of the
discriminator's first norm after ten steps (three forward passes each)."""
import sys

import numpy as np
import torch
import torch.nn.functional as F

from nets_torch import GlobalGenerator, ResNet, seed_weights, seeded_noise
from nn_goldens import Goldens

STEPS = 10
GAIN, SHIFT = 10.0, 2.0


def blocks(name, batch, c, side):
    """Noise in blocks of 8x8 pixels."""
    coarse = seeded_noise(name, batch, c, side // 8, side // 8)
    return F.interpolate(coarse, scale_factor=8, mode='nearest')


def seeded(net):
    """Weights before norms times GAIN; the others are those of linear layers
    and of the convolution that makes a picture."""
    seed_weights(net, GAIN, SHIFT)
    with torch.no_grad():
        for p in net.parameters():
            if p.dim() == 2 or (p.dim() == 4 and p.shape[0] == 3):
                p /= GAIN
    return net


def sample(name, step, batch, side, dtype):
    """Frame and pose beside each other, and the frame to be made of them."""
    x, y = (blocks('%s.%s%d' % (name, part, step), batch, c, side)
            for part, c in (('x', 6), ('y', 3)))
    return x.to(dtype), (x[:, :3] * 0.5 + y * 0.25).to(dtype)


def adam(net):
    return torch.optim.Adam(net.parameters(), lr=1e-3, betas=(0.5, 0.999))


def mse_steps(net, name, batch, side, dtype=torch.float32):
    net = seeded(net).train().to(dtype)
    opt, losses = adam(net), []
    for step in range(STEPS):
        x, y = sample(name, step, batch, side, dtype)
        opt.zero_grad()
        loss = F.mse_loss(net(x)[0], y)
        loss.backward()
        opt.step()
        losses.append(loss.item())
    return np.float32(losses)


def gan_steps(gen, dis, name, batch, side, dtype=torch.float32):
    gen = seeded(gen).train().to(dtype)
    dis = seeded(dis).train().to(dtype)
    gen_opt, dis_opt, losses = adam(gen), adam(dis), []
    real_label = torch.full((batch, 1), 0.95, dtype=dtype)
    fake_label = torch.full((batch, 1), 0.05, dtype=dtype)
    bce = F.binary_cross_entropy_with_logits
    for step in range(STEPS):
        x, y = sample(name, step, batch, side, dtype)
        gen_opt.zero_grad()
        dis_opt.zero_grad()
        fake = gen(x)[0]
        d_loss = 0.5 * (bce(dis(y)[0], real_label)
                        + bce(dis(fake.detach())[0], fake_label))
        d_loss.backward()
        dis_opt.step()
        mse = F.mse_loss(fake, y)
        adversarial = bce(dis(fake)[0], real_label)
        (mse + 0.25 * adversarial).backward()
        gen_opt.step()
        losses.append([d_loss.item(), mse.item(), adversarial.item()])
    return (np.float32(losses), dis.bn1.running_mean.float(),
            dis.bn1.running_var.float())


def small_generator():
    return GlobalGenerator(width=8, down=2, blocks=2)


def small_discriminator():
    return ResNet(width=8, head='discriminator', dropout=0.0)


def show_double():
    a, b = ((mse_steps(small_generator(), 'mse', 4, 32, t),
             gan_steps(small_generator(), small_discriminator(), 'gan', 4, 64,
                       t)[0]) for t in (torch.float32, torch.float64))
    for name, x, y in zip(('mse', 'gan'), a, b):
        print(name, y, 'differ by %.1e' % (abs(x - y) / abs(y)).max())


def main():
    if sys.argv[1:] == ['--double']:
        return show_double()
    if sys.argv[1:2] == ['--full']:
        g = Goldens('steps')
        g.path = sys.argv[2]
        g.keep('full.losses', mse_steps(GlobalGenerator(), 'full', 2, 64))
        del sys.argv[1:]
        return g.finish('goldens_steps.py')
    g = Goldens('steps')
    g.keep('mse.losses', mse_steps(small_generator(), 'mse', 4, 32))
    losses, mean, var = gan_steps(small_generator(), small_discriminator(),
                                  'gan', 4, 64)
    g.keep('gan.losses', losses)
    g.keep('gan.mean', mean)
    g.keep('gan.var', var)
    return g.finish('goldens_steps.py')


if __name__ == '__main__':
    sys.exit(main())
