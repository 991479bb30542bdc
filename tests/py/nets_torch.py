"""The networks of lib/models in PyTorch, from the papers and the sources that
their headers name, with the state-dict names of those; and weights made from
names alone, as tests/support/model_weights.c makes them.

torchvision is not needed."""
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

import fan_torch
from fan_torch import hashed_uniform, name_seed


class FAN(fan_torch.FAN):
    """Any stem and trunk widths; gives the last heatmaps, or with `every`
    those of all stacks."""

    def __init__(self, stacks=4, features=256, stem=64, trunk=128, points=68,
                 every=False):
        super().__init__(stacks, features)
        self.every = every
        self.conv1 = nn.Conv2d(3, stem, 7, 2, 3)
        self.bn1 = nn.BatchNorm2d(stem)
        self.conv2 = fan_torch.ConvBlock(stem, trunk)
        self.conv3 = fan_torch.ConvBlock(trunk, trunk)
        self.conv4 = fan_torch.ConvBlock(trunk, features)
        for k in range(stacks):
            setattr(self, f'l{k}', nn.Conv2d(features, points, 1))
            if k < stacks - 1:
                setattr(self, f'al{k}', nn.Conv2d(points, features, 1))

    def forward(self, x):
        m, maps = self._modules, []
        x = F.relu(self.bn1(self.conv1(x)), True)
        x = self.conv4(self.conv3(F.avg_pool2d(self.conv2(x), 2, 2)))
        for k in range(self.stacks):
            y = m[f'top_m_{k}'](m[f'm{k}'](x))
            y = F.relu(m[f'bn_end{k}'](m[f'conv_last{k}'](y)), True)
            maps.append(m[f'l{k}'](y))
            if k < self.stacks - 1:
                x = x + m[f'bl{k}'](y) + m[f'al{k}'](maps[-1])
        return maps if self.every else maps[-1:]


class ResBlock(nn.Module):
    def __init__(self, i, inner, stride, bottleneck):
        super().__init__()
        o = inner * 4 if bottleneck else inner
        kernels = (1, 3, 1) if bottleneck else (3, 3)
        widths = (i, inner, inner, o) if bottleneck else (i, inner, o)
        strided = 1 if bottleneck else 0
        self.n = len(kernels)
        for k in range(self.n):
            self.add_module(f'conv{k + 1}', nn.Conv2d(
                widths[k], widths[k + 1], kernels[k],
                stride if k == strided else 1, kernels[k] // 2, bias=False))
            self.add_module(f'bn{k + 1}', nn.BatchNorm2d(widths[k + 1]))
        self.downsample = None
        if stride != 1 or i != o:
            self.downsample = nn.Sequential(
                nn.Conv2d(i, o, 1, stride, bias=False), nn.BatchNorm2d(o))

    def forward(self, x):
        y = x
        for k in range(1, self.n + 1):
            y = self._modules[f'bn{k}'](self._modules[f'conv{k}'](y))
            if k < self.n:
                y = F.relu(y, True)
        return F.relu(y + (x if self.downsample is None
                           else self.downsample(x)), True)


class ResNet(nn.Module):
    """head: 'classes', 'embedding', 'discriminator' (the seed's) or 'depth'
    (FA's ResNetDepth)."""

    def __init__(self, blocks=(2, 2, 2, 2), bottleneck=False, width=64,
                 channels=3, head='classes', classes=1000, dropout=0.5):
        super().__init__()
        self.head = head
        self.conv1 = nn.Conv2d(channels, width, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        at = width
        for i, n in enumerate(blocks):
            layer = []
            for k in range(n):
                layer.append(ResBlock(at, width << i, 2 if i and not k else 1,
                                      bottleneck))
                at = (width << i) * (4 if bottleneck else 1)
            self.add_module(f'layer{i + 1}', nn.Sequential(*layer))
        if head == 'discriminator':
            self.fc = nn.Sequential(
                nn.Linear(at, width * 4), nn.LeakyReLU(), nn.Dropout(dropout),
                nn.Linear(width * 4, 1))
        elif head != 'embedding':
            self.fc = nn.Linear(at, classes)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x)), True), 3, 2, 1)
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        if self.head == 'depth':
            x = F.avg_pool2d(x, 7)
        else:
            x = F.adaptive_avg_pool2d(x, 1)
        x = torch.flatten(x, 1)
        return [x if self.head == 'embedding' else self.fc(x)]


def resnet_depth(**kw):
    kw = {'blocks': (3, 8, 36, 3), 'classes': 68, 'channels': 71, **kw}
    return ResNet(bottleneck=True, head='depth', **kw)


class L2Norm(nn.Module):
    def __init__(self, c, scale):
        super().__init__()
        self.weight = nn.Parameter(torch.full((c,), float(scale)))

    def forward(self, x):
        root = x.pow(2).sum(1, keepdim=True).sqrt() + 1e-10
        return x / root * self.weight[None, :, None, None]


class S3FD(nn.Module):
    TRUNK = ((1, 2, 1), (2, 2, 2), (3, 3, 4), (4, 3, 8), (5, 3, 8))
    EXTRA = (('fc6', 8, 16, 3, 1, 3), ('fc7', 16, 16, 1, 1, 0),
             ('conv6_1', 16, 4, 1, 1, 0), ('conv6_2', 4, 8, 3, 2, 1),
             ('conv7_1', 8, 2, 1, 1, 0), ('conv7_2', 2, 4, 3, 2, 1))
    HEADS = (('conv3_3_norm', 4, 4), ('conv4_3_norm', 8, 2),
             ('conv5_3_norm', 8, 2), ('fc7', 16, 2), ('conv6_2', 8, 2),
             ('conv7_2', 4, 2))

    def __init__(self, width=64):
        super().__init__()
        at = 3
        for i, n, times in self.TRUNK:
            for k in range(1, n + 1):
                self.add_module(f'conv{i}_{k}',
                                nn.Conv2d(at, times * width, 3, 1, 1))
                at = times * width
        for name, i, o, k, s, p in self.EXTRA:
            self.add_module(name, nn.Conv2d(i * width, o * width, k, s, p))
        for i, times, scale in ((3, 4, 10), (4, 8, 8), (5, 8, 5)):
            self.add_module(f'conv{i}_3_norm', L2Norm(times * width, scale))
        for name, times, scores in self.HEADS:
            for part, o in (('conf', scores), ('loc', 4)):
                self.add_module(f'{name}_mbox_{part}',
                                nn.Conv2d(times * width, o, 3, 1, 1))

    def forward(self, x):
        m, at = self._modules, {}
        for i, n, _ in self.TRUNK:
            for k in range(1, n + 1):
                x = F.relu(m[f'conv{i}_{k}'](x), True)
            if i > 2:
                at[f'conv{i}_3_norm'] = m[f'conv{i}_3_norm'](x)
            x = F.max_pool2d(x, 2, 2)
        for name, *_ in self.EXTRA:
            x = F.relu(m[name](x), True)
            at[name] = x
        out = []
        for name, _, scores in self.HEADS:
            conf = m[f'{name}_mbox_conf'](at[name])
            if scores == 4:
                ground = conf[:, :3].max(1, keepdim=True)[0]
                conf = torch.cat((ground, conf[:, 3:]), 1)
            out += [conf, m[f'{name}_mbox_loc'](at[name])]
        return out


class Lift(nn.Module):
    """lib/models/lift.h: points, rotation, near, head."""

    def __init__(self, width=384, blocks=4, codes=48, nodes=65 * 41,
                 points=68):
        super().__init__()
        self.add_module('in', nn.Linear(2 * points, width))
        self.block = nn.ModuleList(
            nn.ModuleDict({k: nn.Linear(width, width) for k in 'ab'})
            for _ in range(blocks))
        self.points = nn.Linear(width, 3 * points)
        self.rotation = nn.Linear(width, 9)
        self.near = nn.Linear(width, 1)
        self.code = nn.Linear(width, codes)
        self.head = nn.Linear(codes, 3 * (points + nodes))

    def forward(self, x):
        x = self._modules['in'](x.flatten(1))
        for b in self.block:
            x = x + b['b'](F.relu(b['a'](F.relu(x))))
        x = F.relu(x)
        return [self.points(x), self.rotation(x), self.near(x),
                self.head(self.code(x))]


class DetectorStage(nn.Module):
    def __init__(self, i, o):
        super().__init__()
        for k, c in (('down', i), ('a', o), ('b', o)):
            self.add_module(k, nn.Conv2d(c, o, 3, 2 if k == 'down' else 1, 1,
                                         bias=False))
            self.add_module(k + '_bn', nn.BatchNorm2d(o))

    def forward(self, x):
        x = F.relu(self.down_bn(self.down(x)))
        y = F.relu(self.a_bn(self.a(x)))
        return F.relu(x + self.b_bn(self.b(y)))


class DetectorHead(nn.Module):
    def __init__(self, w):
        super().__init__()
        self.a = nn.Conv2d(w, w, 3, 1, 1, bias=False)
        self.a_bn = nn.BatchNorm2d(w)
        self.out = nn.Conv2d(w, 5, 1)

    def forward(self, x):
        return self.out(F.relu(self.a_bn(self.a(x))))


class Detector(nn.Module):
    """lib/models/detector.h: maps at strides 8, 16, 32."""

    def __init__(self, w=16):
        super().__init__()
        self.stem1 = nn.Conv2d(3, w, 3, 2, 1, bias=False)
        self.stem1_bn = nn.BatchNorm2d(w)
        self.stem2 = nn.Conv2d(w, 2 * w, 3, 2, 1, bias=False)
        self.stem2_bn = nn.BatchNorm2d(2 * w)
        at = 2 * w
        for i, o in enumerate((4 * w, 6 * w, 8 * w)):
            self.add_module(f'stage{i}', DetectorStage(at, o))
            self.add_module(f'side{i}', nn.Conv2d(o, 3 * w, 1, bias=False))
            self.add_module(f'side{i}_bn', nn.BatchNorm2d(3 * w))
            self.add_module(f'head{i}', DetectorHead(3 * w))
            at = o

    def forward(self, x):
        x = F.relu(self.stem1_bn(self.stem1(x)))
        x = F.relu(self.stem2_bn(self.stem2(x)))
        c0 = self.stage0(x)
        c1 = self.stage1(c0)
        c2 = self.stage2(c1)
        p2 = F.relu(self.side2_bn(self.side2(c2)))
        p1 = F.relu(self.side1_bn(self.side1(c1)) + F.interpolate(
            p2, scale_factor=2.0, mode='nearest'))
        p0 = F.relu(self.side0_bn(self.side0(c0)) + F.interpolate(
            p1, scale_factor=2.0, mode='nearest'))
        return [self.head0(p0), self.head1(p1), self.head2(p2)]


class GeneratorBlock(nn.Module):
    def __init__(self, c, norm):
        super().__init__()
        self.conv_block = nn.Sequential(
            nn.ReflectionPad2d(1), nn.Conv2d(c, c, 3), norm(c), nn.ReLU(True),
            nn.ReflectionPad2d(1), nn.Conv2d(c, c, 3), norm(c))

    def forward(self, x):
        return x + self.conv_block(x)


class GlobalGenerator(nn.Module):
    def __init__(self, channels=6, out=3, width=64, down=3, blocks=9,
                 norm='batch'):
        super().__init__()
        norm = NORMS[norm]
        seq = [nn.ReflectionPad2d(3), nn.Conv2d(channels, width, 7),
               norm(width), nn.ReLU(True)]
        for i in range(down):
            c = width << i
            seq += [nn.Conv2d(c, 2 * c, 3, 2, 1), norm(2 * c), nn.ReLU(True)]
        seq += [GeneratorBlock(width << down, norm) for _ in range(blocks)]
        for i in range(down, 0, -1):
            c = width << i
            seq += [nn.ConvTranspose2d(c, c // 2, 3, 2, 1, 1), norm(c // 2),
                    nn.ReLU(True)]
        seq += [nn.ReflectionPad2d(3), nn.Conv2d(width, out, 7), nn.Tanh()]
        self.model = nn.Sequential(*seq)

    def forward(self, x):
        return [self.model(x)]


class VGG19(nn.Module):
    """relu1_1, 2_1, 3_1, 4_1, 5_1."""
    AT = (1, 6, 11, 20, 29)

    def __init__(self, width=64):
        super().__init__()
        seq, at = [], 3
        for n, times in ((2, 1), (2, 2), (4, 4), (4, 8), (1, 8)):
            if seq:
                seq.append(nn.MaxPool2d(2))
            for _ in range(n):
                seq += [nn.Conv2d(at, times * width, 3, 1, 1), nn.ReLU(True)]
                at = times * width
        self.features = nn.Sequential(*seq)

    def forward(self, x):
        out = []
        for i, layer in enumerate(self.features):
            x = layer(x)
            if i in self.AT:
                out.append(x)
        return out


def vgg_loss(vgg, a, b):
    """The seed's perceptual loss of pictures in [-1,1]."""
    mean = torch.tensor([0.485, 0.456, 0.406])[None, :, None, None]
    std = torch.tensor([0.229, 0.224, 0.225])[None, :, None, None]
    fa = vgg(((a + 1) / 2 - mean) / std)
    with torch.no_grad():
        fb = vgg(((b + 1) / 2 - mean) / std)
    return sum(w * F.l1_loss(p, q) for w, p, q in
               zip((1 / 32, 1 / 16, 1 / 8, 1 / 4, 1), fa, fb))


class DoubleConv(nn.Module):
    def __init__(self, i, mid, o, norm):
        super().__init__()
        self.double_conv = nn.Sequential(
            nn.Conv2d(i, mid, 3, 1, 1, bias=False), norm(mid), nn.ReLU(True),
            nn.Conv2d(mid, o, 3, 1, 1, bias=False), norm(o), nn.ReLU(True))

    def forward(self, x):
        return self.double_conv(x)


class UNetDown(nn.Module):
    def __init__(self, i, o, norm):
        super().__init__()
        self.maxpool_conv = nn.Sequential(nn.MaxPool2d(2),
                                          DoubleConv(i, o, o, norm))

    def forward(self, x):
        return self.maxpool_conv(x)


class UNetUp(nn.Module):
    def __init__(self, i, skip, o, norm, bilinear):
        super().__init__()
        if bilinear:
            self.up = nn.Upsample(scale_factor=2, mode='bilinear',
                                  align_corners=True)
            self.conv = DoubleConv(i + skip, i, o, norm)
        else:
            self.up = nn.ConvTranspose2d(i, i // 2, 2, 2)
            self.conv = DoubleConv(i // 2 + skip, o, o, norm)

    def forward(self, x, skip):
        x = self.up(x)
        dy, dx = skip.shape[2] - x.shape[2], skip.shape[3] - x.shape[3]
        x = F.pad(x, [dx // 2, dx - dx // 2, dy // 2, dy - dy // 2])
        return self.conv(torch.cat([skip, x], 1))


class UNet(nn.Module):
    def __init__(self, channels=6, out=3, depth=4, width=64, norm='batch',
                 bilinear=False):
        super().__init__()
        norm = NORMS[norm]
        self.depth = depth
        c = [width << i for i in range(depth + 1)]
        if bilinear:
            c[depth] //= 2
        self.inc = DoubleConv(channels, width, width, norm)
        for i in range(depth):
            self.add_module(f'down{i + 1}', UNetDown(c[i], c[i + 1], norm))
        at = c[depth]
        for i in range(depth - 1, -1, -1):
            o = c[i] // 2 if bilinear and i else c[i]
            self.add_module(f'up{depth - i}',
                            UNetUp(at, c[i], o, norm, bilinear))
            at = o
        self.outc = nn.Module()
        self.outc.conv = nn.Conv2d(width, out, 1)

    def forward(self, x):
        m, skips = self._modules, [self.inc(x)]
        for i in range(self.depth):
            skips.append(m[f'down{i + 1}'](skips[-1]))
        x = skips.pop()
        for i in range(self.depth):
            x = m[f'up{i + 1}'](x, skips.pop())
        return [self.outc.conv(x)]


class PatchGAN(nn.Module):
    def __init__(self, channels=3, width=64, layers=3, norm='batch'):
        super().__init__()
        bias = norm == 'instance'
        seq = [nn.Conv2d(channels, width, 4, 2, 1), nn.LeakyReLU(0.2)]
        at = width
        for i in range(1, layers + 1):
            o = width * min(2 ** i, 8)
            seq += [nn.Conv2d(at, o, 4, 2 if i < layers else 1, 1, bias=bias),
                    NORMS[norm](o), nn.LeakyReLU(0.2)]
            at = o
        seq += [nn.Conv2d(at, 1, 4, 1, 1)]
        self.model = nn.Sequential(*seq)

    def forward(self, x):
        return [self.model(x)]


NORMS = {'batch': nn.BatchNorm2d, 'instance': nn.InstanceNorm2d,
         'group': lambda c: nn.GroupNorm(8, c)}


def seeded_value(name, shape, gain, shift):
    """A parameter from its name: weights of convolutions and linear layers
    have deviation gain / sqrt(fan in), biases lie within 1/8 of shift or
    -shift."""
    seed = name_seed(name)
    u = hashed_uniform(seed, int(np.prod(shape)))
    if len(shape) > 1:
        k = np.float32(gain * np.sqrt(3.0 / float(np.prod(shape[1:]))))
        v = (u * np.float32(2) - np.float32(1)) * k
    elif name.endswith('running_var'):
        v = u + np.float32(0.5)
    elif name.endswith('weight'):
        v = u * np.float32(0.5) + np.float32(0.75)
    else:
        v = u * np.float32(0.25) - np.float32(0.125)
        if shift:
            side = hashed_uniform(seed ^ 1, len(v)) < 0.5
            v = v + np.where(side, -1, 1).astype(np.float32) * np.float32(
                shift)
    return v.reshape(shape)


def seed_weights(net, gain=1.0, shift=0.0):
    """shift: of the biases of batch norms."""
    old = net.state_dict()
    state = {}
    for k, v in old.items():
        if k.endswith('num_batches_tracked'):
            continue
        norm = (k.endswith('.bias')
                and k[:-len('bias')] + 'running_mean' in old)
        state[k] = torch.from_numpy(seeded_value(
            k, tuple(v.shape), gain, shift if norm else 0.0))
    net.load_state_dict(state, strict=False)
    return net


def seeded_noise(name, *shape):
    """-1..1."""
    u = hashed_uniform(name_seed(name), int(np.prod(shape)))
    return torch.from_numpy((u * np.float32(2) - np.float32(1))
                            .reshape(shape))
