"""Full-size networks against PyTorch, run live: outputs and every entry of
every gradient, and ten training steps of GlobalGenerator. See
models-vs-torch.sh; arguments: the tool model-grads, a scratch folder, and
names of cases (default: all)."""
import subprocess
import sys

import numpy as np
import torch

sys.path.insert(0, 'tests/py')
from fan_torch import read_safetensors, write_safetensors  # noqa: E402
from goldens_steps import (GlobalGenerator, mse_steps, sample,  # noqa: E402
                           seeded)
from nets_torch import (FAN, ResNet, S3FD, VGG19, PatchGAN, UNet,  # noqa: E402
                        resnet_depth, seed_weights, seeded_noise)

RELU = float(np.sqrt(2.0))
# name: network, gain, shift of norms, input, in training? ResNetDepth's fifty
# blocks on one picture in training are chaotic: PyTorch's own float32 is 1 %
# off there, so its norms, and those of other ResNets, go by their running
# statistics (the short tests train small ones). Nor is there dropout then.
CASES = {
    'fan-4': (FAN, 1, 5, (1, 3, 256, 256), True),
    'resnet-depth': (resnet_depth, 1, 0, (1, 71, 256, 256), False),
    's3fd': (S3FD, RELU, 0, (1, 3, 256, 320), True),
    'vgg-19': (VGG19, RELU, 0, (1, 3, 224, 224), True),
    'generator-128': (GlobalGenerator, 1, 5, (2, 6, 128, 128), True),
    'resnet-34': (lambda: ResNet((3, 4, 6, 3), classes=5994), 1, 0,
                  (2, 3, 224, 224), False),
    'discriminator': (lambda: ResNet(head='discriminator', dropout=0.0), 1, 0,
                      (2, 3, 224, 224), False),
    'unet': (UNet, 1, 0, (1, 6, 128, 128), True),
    'patch-gan': (PatchGAN, 1, 0, (2, 3, 256, 256), True),
}
TOL_FORWARD, TOL_GRADIENT = 1e-4, 1e-3
KINK = 0.02
VARIANTS = ('exact', 'fast', 'blas')


def net_arrays(net):
    return {'net.' + k: v.detach().numpy() for k, v in
            net.state_dict().items() if not k.endswith('num_batches_tracked')}


def run_tool(tool, folder, arrays, how):
    write_safetensors(folder + '/in.safetensors', arrays, {})
    subprocess.run([tool, folder + '/in.safetensors',
                    folder + '/out.safetensors', how], check=True)
    return read_safetensors(folder + '/out.safetensors')


def reference(net, training, x, douts, dtype):
    """Outputs and gradients in PyTorch."""
    net = net.to(dtype).train(training)
    x = x.detach().to(dtype).clone().requires_grad_(True)
    net.zero_grad()
    outs = net(x)
    torch.autograd.backward(outs, [d.to(dtype) for d in douts])
    r = {'out.%d' % i: o.detach() for i, o in enumerate(outs)}
    r['din'] = x.grad
    r.update(('g.' + k, p.grad) for k, p in net.named_parameters())
    return {k: v.double().numpy().copy() for k, v in r.items()}


def floor_of(name, want):
    """What rounding may leave of a bias's gradient, a sum that may be 0."""
    weight = name[:-len('bias')] + 'weight'
    if name.endswith('.bias') and weight in want:
        return 1e-4 * np.abs(want[weight]).max()
    return 0.0


def distance(a, b):
    return np.linalg.norm(a - b) / max(np.linalg.norm(b), 1e-300)


def compare(got, torch32, exact, tol_forward, tol_gradient):
    """Against PyTorch in float64, entry by entry. Among millions of ReLUs and
    maxima some lie so near their kink that rounding decides, in our float32 or
    in PyTorch's, and gradients jump by up to some per cent: a gradient beyond
    the tolerance is counted as such while its distance is within KINK or five
    times PyTorch's own. Returns the worst ratios of the others, the tensors in
    breach, and how many kinks, with the largest distance."""
    worst, bad, kinks = {'out': 0.0, 'g': 0.0}, [], []
    for k, want in exact.items():
        kind = 'out' if k.startswith('out') else 'g'
        tol = tol_forward if kind == 'out' else tol_gradient
        most, floor = np.abs(want).max(), floor_of(k, exact)
        ours = got[k].reshape(want.shape)
        off = np.abs(ours - want).max()
        far = distance(ours, want)
        if off <= tol * most + floor:
            if off > floor:
                worst[kind] = max(worst[kind], off / most)
        elif far <= max(KINK, 5 * distance(torch32[k], want)):
            kinks.append((far, k))
        else:
            bad.append('%s off by %.2g of %.2g, distance %.2g' % (
                k, off, most, far))
    return worst, bad, kinks


def run_case(tool, folder, name):
    make, gain, shift, shape, training = CASES[name]
    net = seed_weights(make(), gain, shift)
    x = seeded_noise(name + '.long', *shape)
    arrays = net_arrays(net)
    arrays = {k: v.copy() for k, v in arrays.items()}
    with torch.no_grad():
        outs = make().eval()(x)
    douts = [seeded_noise('%s.dout.%d' % (name, i), *o.shape)
             for i, o in enumerate(outs)]
    torch32 = reference(net, training, x, douts, torch.float32)
    exact = reference(seed_weights(make(), gain, shift), training, x, douts,
                      torch.float64)
    if not training:
        arrays['case.eval'] = np.ones(1, np.float32)
    arrays['case.input'] = x.detach().numpy()
    for i, d in enumerate(douts):
        arrays['case.dout.%d' % i] = d.numpy()
    failed = 0
    for how in VARIANTS:
        slack = 10 if how == 'fast' else 1
        got = run_tool(tool, folder, arrays, how)
        worst, bad, kinks = compare(got, torch32, exact,
                                    TOL_FORWARD * slack, TOL_GRADIENT * slack)
        print('%-14s %-5s outputs %.1e  gradients %.1e  (%d tensors; %d at '
              'kinks%s)' % (name, how, worst['out'], worst['g'], len(exact),
                            len(kinks), ', to %.1e: %s' % max(kinks)
                            if kinks else ''), flush=True)
        for line in bad[:10]:
            print('    ' + line)
        failed += bool(bad)
    return failed


def run_steps(tool, folder):
    """Ten steps of the full-width GlobalGenerator."""
    want = mse_steps(GlobalGenerator(), 'full', 2, 64)
    arrays = net_arrays(seeded(GlobalGenerator()))
    for i in range(len(want)):
        x, y = sample('full', i, 2, 64, torch.float32)
        arrays['case.input.%d' % i] = x.numpy()
        arrays['case.target.%d' % i] = y.numpy()
    failed = 0
    for how in VARIANTS:
        got = run_tool(tool, folder, arrays, how)['losses']
        off = (np.abs(got - want) / np.abs(want)).max()
        print('steps          %-5s losses %.1e  (%.4f ... %.4f)' % (
            how, off, got[0], got[-1]), flush=True)
        failed += not off <= 1e-3
    return failed


def main():
    tool, folder, names = sys.argv[1], sys.argv[2], sys.argv[3:]
    torch.set_num_threads(2)
    failed = sum(run_case(tool, folder, n) for n in CASES
                 if not names or n in names)
    if not names or 'steps' in names:
        failed += run_steps(tool, folder)
    return failed > 0


if __name__ == '__main__':
    sys.exit(main())
