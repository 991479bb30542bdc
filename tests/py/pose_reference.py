"""The seed's rotation and pose picture, written independently of the C code
from ../shared/networks.md: for the tests of pose-rotator and pose-drawer.

usage: pose_reference.py FOLDER
Writes points.npy f32[68,3] (a made-up face), wild.npy (points far outside),
pose.npy u8[H,W,3] of both, frame.npy, and turned_K.npy with angles_K.npy for
the 25 poses.
"""
import sys

import numpy as np

GROUPS = [
    (list(range(0, 17)), (255, 0, 0)),
    (list(range(17, 22)), (255, 170, 0)),
    (list(range(22, 27)), (255, 255, 0)),
    (list(range(27, 31)), (170, 255, 0)),
    (list(range(31, 36)), (0, 255, 255)),
    (list(range(36, 42)) + [36], (0, 170, 255)),
    (list(range(42, 48)) + [42], (0, 0, 255)),
    (list(range(48, 60)) + [48], (170, 0, 255)),
    (list(range(60, 68)) + [60], (255, 0, 255)),
]


def line(x, y, x1, y1):
    """Bresenham, with the error term."""
    dx, dy = abs(x1 - x), abs(y1 - y)
    sx, sy = (1 if x1 > x else -1), (1 if y1 > y else -1)
    steep = dy > dx
    n, m = (dy, dx) if steep else (dx, dy)
    d, out = 2 * m - n, []
    for _ in range(n):
        out.append((x, y))
        while d >= 0:
            if steep:
                x += sx
            else:
                y += sy
            d -= 2 * n
        if steep:
            y += sy
        else:
            x += sx
        d += 2 * m
    return out + [(x1, y1)]


def draw(points, h, w, snap=np.trunc):
    img = np.zeros((h, w, 3), np.uint8)
    p = snap(points[:, :2].astype(np.float64)).astype(int)

    def dots(where, rgb):
        for x, y in where:
            if 0 <= x < w and 0 <= y < h:
                img[y, x] = rgb

    def disc(x, y):
        return [(x + i, y + j) for i in (-2, -1, 0, 1, 2)
                for j in (-2, -1, 0, 1, 2) if i * i + j * j < 4]

    for group, rgb in GROUPS:
        for a, b in zip(group[:-1], group[1:]):
            dots(line(*p[a], *p[b]), rgb)
            dots(disc(*p[a]), rgb)
        dots(disc(*p[group[-1]]), rgb)
    return img


def rotation(rx, ry, rz):
    x, y, z = np.radians([rx, ry, rz])
    c, s = np.cos, np.sin
    mx = np.array([[1, 0, 0], [0, c(x), -s(x)], [0, s(x), c(x)]])
    my = np.array([[c(y), 0, s(y)], [0, 1, 0], [-s(y), 0, c(y)]])
    mz = np.array([[c(z), -s(z), 0], [s(z), c(z), 0], [0, 0, 1]])
    return mz @ my @ mx


def turn(points, rx, ry, rz):
    p = points.astype(np.float64)
    mean = p.mean(0)
    return (mean + (p - mean) @ rotation(rx, ry, rz).T).astype(np.float32)


def face(scale, cx, cy):
    """Sixty-eight points laid out like a face; x right, y down, z near."""
    pts = []
    for a in np.linspace(0, np.pi, 17):                      # jaw
        pts.append((-.86 * np.cos(a), -.05 + 1.05 * np.sin(a) ** .8,
                    -.85 + .75 * np.sin(a)))
    for side in (-1, 1):                                     # brows
        xs = np.linspace(-.68, -.2, 5) if side < 0 else np.linspace(.2, .68, 5)
        pts += [(x, -.42 + .3 * (abs(x) - .45) ** 2 * 3, .02 - .3 * x * x)
                for x in xs]
    pts += [(0, -.22 + .15 * i, .1 + .09 * i) for i in range(4)]   # bridge
    pts += [(.09 * i, .32 - .02 * (2 - abs(i)), .2 - .03 * abs(i))
            for i in range(-2, 3)]                           # nostrils
    for cxe in (-.33, .33):                                  # eyes
        for dx, dy in ((-.17, 0), (-.07, -.06), (.07, -.06), (.17, 0),
                       (.07, .05), (-.07, .05)):
            pts.append((cxe + dx, -.2 + dy, -.08 - .2 * abs(cxe + dx) ** 2))
    for i in range(12):                                      # outer mouth
        a = np.pi + i * np.pi / 6
        pts.append((.3 * np.cos(a), .62 + .12 * np.sin(a),
                    .12 - .6 * (.3 * np.cos(a)) ** 2))
    for i in range(8):                                       # inner mouth
        a = np.pi + i * np.pi / 4
        pts.append((.2 * np.cos(a), .62 + .03 * np.sin(a),
                    .1 - .6 * (.2 * np.cos(a)) ** 2))
    return (np.array(pts) * scale + (cx, cy, 0)).astype(np.float32)


def main():
    out = sys.argv[1]
    h, w = 131, 117
    pts = face(42.0, 57.3, 60.7)
    wild = face(900.0, -300.0, 400.0)
    rng = np.random.default_rng(5)
    y, x = np.mgrid[0:h, 0:w]
    frame = np.stack([120 + 60 * np.sin(x / 9), 90 + 50 * np.cos(y / 7),
                      80 + 40 * np.sin((x + y) / 11)], -1)
    frame = (frame + rng.normal(0, 6, frame.shape)).clip(0, 255)
    save = lambda name, a: np.save('%s/%s.npy' % (out, name), a)
    save('frame', frame.astype(np.uint8))
    save('points', pts)
    save('wild', wild)
    save('pose', draw(pts, h, w))
    save('pose_wild', draw(wild, h, w))
    save('pose_nearest', draw(pts, h, w, lambda v: np.floor(v + .5)))
    big = pts.copy()
    big[:, 0] = (pts[:, 0].astype(np.float64) + .5) * (2 * w / w) - .5
    big[:, 1] = (pts[:, 1].astype(np.float64) + .5) * (2 * h / h) - .5
    save('pose_big', draw(big, 2 * h, 2 * w))
    k = 0
    for rx in (-20, -10, 0, 10, 20):
        for ry in (-20, -10, 0, 10, 20):
            save('turned_%d' % k, turn(pts, rx, ry, 0))
            save('angles_%d' % k, np.array([rx, ry, 0], np.float32))
            k += 1
    save('yaw30', turn(pts, 0, 30, 0))
    save('roll', turn(pts, -7, 12, 40))


main()
