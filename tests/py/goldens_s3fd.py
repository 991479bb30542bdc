#!/usr/bin/python3
"""Make tests/golden/s3fd.safetensors with PyTorch (run from the repository
root): the faces that S3FD of random weights finds in random pictures, found as
1adrianb/face-alignment (608505f, detection/sfd) finds them: its order of steps
in plain loops.

  goldens_s3fd.py             write the goldens
  goldens_s3fd.py --check     compare instead of writing
  goldens_s3fd.py --search    look for better SALTS

"<height>x<width>" is f32[n,5]: x0, y0, x1, y1, score, sorted by score. Two
correct programs would find other faces where rounding decides whether a score
is above 0.5, an overlap above 0.3, or which box is the stronger: pictures are
chosen (SALTS) that keep away from that by MARGIN."""
import sys

import numpy as np
import torch
import torch.nn.functional as F

from fan_torch import (hashed_uniform, name_seed, read_safetensors,
                       write_safetensors)
from nets_torch import S3FD, seed_weights

PATH = 'tests/golden/s3fd.safetensors'
WIDTH = 4
LEAST = 32  # of a side: fc6 sees nothing of less
MARGIN = 3e-4
# (height, width): which picture of this size
SALTS = {(96, 128): 114, (97, 131): 106, (75, 150): 78, (33, 61): 271,
         (20, 47): 64}


def seeded_s3fd():
    """Activations of about 1 for pixels of about 64; a face is rarer than the
    ground."""
    net = seed_weights(S3FD(WIDTH), np.sqrt(2.0)).eval()
    with torch.no_grad():
        net.conv1_1.weight.mul_(1 / 64)
        for name, *_ in S3FD.HEADS:
            net._modules[name + '_mbox_conf'].bias[-1] -= 0.25
    return net


def picture(height, width, salt):
    """Blocks of 8x8 pixels with fine noise, u8[H,W,3]."""
    name = 's3fd.%dx%d.%d' % (height, width, salt)
    u = hashed_uniform(name_seed(name), height * width * 3)
    v = (u * np.float32(256)).astype(np.int64).reshape(height, width, 3)
    coarse = v[np.arange(height) & ~7][:, np.arange(width) & ~7]
    return ((3 * coarse + v) // 4).astype(np.uint8)


def candidates(net, rgb):
    """All boxes above 0.05: rows x0, y0, x1, y1, score."""
    bgr = rgb[:, :, ::-1].astype(np.float32)
    bgr = bgr - np.float32([104, 117, 123])
    h, w = bgr.shape[:2]
    x = torch.from_numpy(bgr.transpose(2, 0, 1).copy())[None]
    x = F.pad(x, (0, max(0, LEAST - w), 0, max(0, LEAST - h)))
    with torch.no_grad():
        out = net(x)
    rows = []
    for i in range(len(out) // 2):
        conf = F.softmax(out[2 * i], dim=1)[0, 1].numpy()
        loc = out[2 * i + 1][0].numpy()
        stride = 2 ** (i + 2)
        for y, x in zip(*np.where(conf > 0.05)):
            prior = np.float64([stride / 2 + x * stride,
                                stride / 2 + y * stride,
                                stride * 4, stride * 4])
            centre = prior[:2] + loc[:2, y, x] * 0.1 * prior[2:]
            size = prior[2:] * np.exp(loc[2:, y, x] * 0.2)
            low = centre - size / 2
            rows.append(np.concatenate((low, low + size, [conf[y, x]])))
    return np.array(rows).reshape(-1, 5)


def overlaps(box, others):
    """FA's, areas with "+1"."""
    def area(b):
        return (b[..., 2] - b[..., 0] + 1) * (b[..., 3] - b[..., 1] + 1)
    low = np.maximum(box[:2], others[:, :2])
    high = np.minimum(box[2:4], others[:, 2:4])
    side = np.maximum(0.0, high - low + 1)
    both = side[:, 0] * side[:, 1]
    return both / (area(box) + area(others) - both)


def suppress(rows, limit=0.3):
    """Indices of those that stay, highest score first."""
    order = np.argsort(-rows[:, 4], kind='stable')
    keep = []
    while order.size:
        i, rest = order[0], order[1:]
        keep.append(i)
        order = rest[overlaps(rows[i], rows[rest]) <= limit]
    return keep


def detect(net, rgb):
    rows = candidates(net, rgb)
    keep = suppress(rows)
    return rows, [i for i in keep if rows[i, 4] > 0.5]


def margin(rows, faces):
    """How much scores and overlaps may change with the same faces found."""
    score = rows[:, 4]
    least = float(np.abs(score - 0.5).min())
    kept = rows[faces]
    least = min([least, *(kept[:-1, 4] - kept[1:, 4])])
    for k, i in enumerate(faces):
        if k:
            least = min(least, float((0.3 - overlaps(rows[i], kept[:k])).min()))
    for i in set(np.where(score > 0.5)[0]) - set(faces):
        room = np.minimum(overlaps(rows[i], kept) - 0.3, kept[:, 4] - score[i])
        least = min(least, float(room.max()))
    return least


def search():
    net = seeded_s3fd()
    for size in SALTS:
        best = (-1, 0)
        for salt in range(300):
            rows, faces = detect(net, picture(*size, salt))
            if len(faces) > 1:
                best = max(best, (margin(rows, faces), salt, len(rows),
                                  int((rows[:, 4] > 0.5).sum()), len(faces)))
        print(size, 'margin %.1e with %d; %d boxes, %d above 0.5, %d faces'
              % best, flush=True)
    return 0


def make():
    net, out = seeded_s3fd(), {}
    for (h, w), salt in SALTS.items():
        rows, faces = detect(net, picture(h, w, salt))
        assert margin(rows, faces) > MARGIN, (h, w)
        out['%dx%d' % (h, w)] = rows[faces].astype(np.float32)
        out['%dx%d.salt' % (h, w)] = np.float32([salt])
    return out


def main():
    torch.set_num_threads(1)
    if sys.argv[1:] == ['--search']:
        return search()
    new = make()
    if sys.argv[1:] == ['--check']:
        old = read_safetensors(PATH)
        if ({k: v.shape for k, v in old.items()}
                != {k: v.shape for k, v in new.items()}):
            print('%s: other faces than PyTorch finds' % PATH)
            return 1
        worst = max(np.abs(old[k] - new[k]).max() for k in new)
        print('%s: largest difference %.2g' % (PATH, worst))
        return int(worst > 1e-3)
    write_safetensors(PATH, new, {
        'made_by': 'tests/py/goldens_s3fd.py, PyTorch ' + torch.__version__})
    return 0


if __name__ == '__main__':
    sys.exit(main())
