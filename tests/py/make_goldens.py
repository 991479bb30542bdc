#!/usr/bin/python3
"""Make tests/golden/fan.safetensors with PyTorch (run from the repository
root): what FAN gives for hashed noise, every fourth row and column of each
map, for models/fan1-128.safetensors and for a FAN-4 whose weights are made
from their names (tests/support/fan_weights.c makes the same ones).

  make_goldens.py                    write the goldens
  make_goldens.py --check            compare instead of writing
  make_goldens.py --weights S F OUT  write a seeded FAN-S with F features"""
import sys

import numpy as np
import torch

from fan_torch import (hashed_uniform, load_fan, name_seed, read_safetensors,
                       seeded_fan, write_safetensors)

PATH = 'tests/golden/fan.safetensors'


def noise(name):
    """Blocks of 8x8 pixels of hashed colour with fine noise over them."""
    u = hashed_uniform(name_seed(name), 3 * 256 * 256).reshape(3, 256, 256)
    coarse = np.repeat(np.repeat(u[:, ::8, ::8], 8, 1), 8, 2)
    x = coarse * np.float32(0.75) + u * np.float32(0.25)
    return torch.from_numpy(x[None])


def make():
    torch.set_num_threads(2)
    out = {}
    models = {'fan1_128': load_fan('models/fan1-128.safetensors'),
              'fan4_256': seeded_fan(4, 256)}
    with torch.no_grad():
        for name, side in (('fan1_128', 256), ('fan4_256', 256),
                           ('fan1_128', 192), ('fan1_128', 320)):
            x = noise(name).tile(1, 1, 2, 2)[:, :, :side, :side]
            h = models[name](x).numpy()[0]
            name = name if side == 256 else '%s_at%d' % (name, side)
            out[name + '.maps'] = np.ascontiguousarray(h[:, 1::4, 2::4])
            out[name + '.peak'] = h.reshape(68, -1).max(1)
            out[name + '.sum'] = h.astype(np.float64).sum((1, 2))
            out[name + '.absmax'] = np.abs(h).max().reshape(1)
    return out


def main():
    if sys.argv[1:2] == ['--weights']:
        s, f, path = int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
        state = seeded_fan(s, f).state_dict()
        write_safetensors(path, {k: v.numpy() for k, v in state.items()
                                 if not k.endswith('num_batches_tracked')},
                          {'network': 'FAN', 'origin': 'made from a seed'})
        return 0
    new = make()
    if sys.argv[1:] == ['--check']:
        old = read_safetensors(PATH)
        worst = max(np.abs(old[k] - new[k]).max() / np.abs(new[k]).max()
                    for k in new)
        print('largest relative difference %.2g' % worst)
        return worst > 1e-5
    write_safetensors(PATH, new, {
        'made_by': 'tests/py/make_goldens.py, PyTorch ' + torch.__version__,
        'maps': 'heatmaps[:, 1::4, 2::4]'})
    return 0


if __name__ == '__main__':
    sys.exit(main())
