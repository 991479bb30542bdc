"""FAN in PyTorch, after 1adrianb/face-alignment (608505f, models/fan.py), any
number of stacks and features; and weights made from a seed the way
tests/support/fan_weights.c makes them."""
import json
import struct

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F


class ConvBlock(nn.Module):
    def __init__(self, i, o):
        super().__init__()
        self.bn1 = nn.BatchNorm2d(i)
        self.conv1 = nn.Conv2d(i, o // 2, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(o // 2)
        self.conv2 = nn.Conv2d(o // 2, o // 4, 3, 1, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(o // 4)
        self.conv3 = nn.Conv2d(o // 4, o // 4, 3, 1, 1, bias=False)
        self.downsample = None
        if i != o:
            self.downsample = nn.Sequential(
                nn.BatchNorm2d(i), nn.ReLU(True), nn.Conv2d(i, o, 1, bias=False))

    def forward(self, x):
        a = self.conv1(F.relu(self.bn1(x), True))
        b = self.conv2(F.relu(self.bn2(a), True))
        c = self.conv3(F.relu(self.bn3(b), True))
        r = x if self.downsample is None else self.downsample(x)
        return torch.cat((a, b, c), 1) + r


class HourGlass(nn.Module):
    def __init__(self, depth, f):
        super().__init__()
        self.depth = depth
        for level in range(depth, 0, -1):
            self.add_module(f'b1_{level}', ConvBlock(f, f))
            self.add_module(f'b2_{level}', ConvBlock(f, f))
            if level == 1:
                self.add_module('b2_plus_1', ConvBlock(f, f))
            self.add_module(f'b3_{level}', ConvBlock(f, f))

    def run(self, level, x):
        m = self._modules
        up = m[f'b1_{level}'](x)
        low = m[f'b2_{level}'](F.avg_pool2d(x, 2, 2))
        low = self.run(level - 1, low) if level > 1 else m['b2_plus_1'](low)
        low = m[f'b3_{level}'](low)
        return up + F.interpolate(low, scale_factor=2, mode='nearest')

    def forward(self, x):
        return self.run(self.depth, x)


class FAN(nn.Module):
    def __init__(self, stacks=1, f=256, stem=64, trunk=128):
        super().__init__()
        self.stacks = stacks
        self.conv1 = nn.Conv2d(3, stem, 7, 2, 3)
        self.bn1 = nn.BatchNorm2d(stem)
        self.conv2 = ConvBlock(stem, trunk)
        self.conv3 = ConvBlock(trunk, trunk)
        self.conv4 = ConvBlock(trunk, f)
        for k in range(stacks):
            self.add_module(f'm{k}', HourGlass(4, f))
            self.add_module(f'top_m_{k}', ConvBlock(f, f))
            self.add_module(f'conv_last{k}', nn.Conv2d(f, f, 1))
            self.add_module(f'bn_end{k}', nn.BatchNorm2d(f))
            self.add_module(f'l{k}', nn.Conv2d(f, 68, 1))
            if k < stacks - 1:
                self.add_module(f'bl{k}', nn.Conv2d(f, f, 1))
                self.add_module(f'al{k}', nn.Conv2d(68, f, 1))

    def forward(self, x):
        m = self._modules
        x = F.relu(self.bn1(self.conv1(x)), True)
        x = self.conv4(self.conv3(F.avg_pool2d(self.conv2(x), 2, 2)))
        for k in range(self.stacks):
            y = m[f'top_m_{k}'](m[f'm{k}'](x))
            y = F.relu(m[f'bn_end{k}'](m[f'conv_last{k}'](y)), True)
            maps = m[f'l{k}'](y)
            if k < self.stacks - 1:
                x = x + m[f'bl{k}'](y) + m[f'al{k}'](maps)
        return maps


def hashed_uniform(seed, n):
    """n numbers in [0,1), float32: splitmix64 of seed + (i+1) * golden."""
    with np.errstate(over='ignore'):
        z = np.uint64(seed) + (np.arange(1, n + 1, dtype=np.uint64)
                               * np.uint64(0x9E3779B97F4A7C15))
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    return ((z >> np.uint64(40)).astype(np.float32)
            * np.float32(2.0 ** -24))


def name_seed(name):
    """FNV-1a, 64 bit."""
    h = 0xCBF29CE484222325
    for c in name.encode():
        h = ((h ^ c) * 0x100000001B3) & (2 ** 64 - 1)
    return h


def seeded_value(name, shape):
    """A parameter that keeps activations sane, from its name alone."""
    n = int(np.prod(shape))
    u = hashed_uniform(name_seed(name), n)
    if len(shape) == 4:
        gain = np.float32(np.sqrt(3.0 / float(np.prod(shape[1:]))))
        v = (u * np.float32(2) - np.float32(1)) * gain
    elif name.endswith('running_var'):
        v = u + np.float32(0.5)
    elif name.endswith('weight'):
        v = u * np.float32(0.5) + np.float32(0.75)
    else:
        v = u * np.float32(0.25) - np.float32(0.125)
    return v.reshape(shape)


def seeded_fan(stacks, features):
    m = FAN(stacks, features).eval()
    state = {k: torch.from_numpy(seeded_value(k, tuple(v.shape)))
             for k, v in m.state_dict().items()
             if not k.endswith('num_batches_tracked')}
    m.load_state_dict(state, strict=False)
    return m


def read_safetensors(path):
    b = open(path, 'rb').read()
    n = struct.unpack('<Q', b[:8])[0]
    types = {'F16': '<f2', 'F32': '<f4', 'F64': '<f8', 'U8': 'u1',
             'I64': '<i8'}
    out = {}
    for k, v in json.loads(b[8:8 + n]).items():
        if k == '__metadata__':
            continue
        a, z = v['data_offsets']
        out[k] = np.frombuffer(b[8 + n + a:8 + n + z],
                               types[v['dtype']]).reshape(v['shape'])
    return out


def write_safetensors(path, arrays, meta):
    words = {'float32': 'F32', 'uint8': 'U8', 'int64': 'I64', 'float64': 'F64'}
    head, at = {'__metadata__': meta}, 0
    for k, v in arrays.items():
        head[k] = {'dtype': words[v.dtype.name], 'shape': list(v.shape),
                   'data_offsets': [at, at + v.nbytes]}
        at += v.nbytes
    text = json.dumps(head).encode()
    text += b' ' * (-len(text) % 8)
    with open(path, 'wb') as f:
        f.write(struct.pack('<Q', len(text)) + text)
        for v in arrays.values():
            f.write(np.ascontiguousarray(v).tobytes())


def load_fan(path):
    w = read_safetensors(path)
    features = w['conv_last0.weight'].shape[0]
    stacks = sum(f'l{k}.weight' in w for k in range(16))
    stem = w['conv1.weight'].shape[0]
    trunk = 2 * w['conv2.conv1.weight'].shape[0]
    m = FAN(stacks, features, stem, trunk).eval()
    missing = m.load_state_dict(
        {k: torch.from_numpy(v.astype(np.float32)) for k, v in w.items()},
        strict=False)
    assert not missing.unexpected_keys
    assert all(k.endswith('num_batches_tracked') for k in missing.missing_keys)
    return m
