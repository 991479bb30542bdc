"""Large pictures through the generator, for tests/sh/82-large-picture.sh and
tests/long/large-picture.sh. The pictures are rendered heads; nothing is stored
that a run is compared with: what is right follows from the source.

usage: large_picture_check.py BUILD FOLDER (same|halved|cut|odd|memory|big)...
"""
import io
import subprocess
import sys

import numpy as np

from facet_tape import read, tensor, write

BUILD, DIR = sys.argv[1:3]
POSES = [(0, 0, 0), (10, -40, 5)]


def render(size, fill, heads=1, yaw='0'):
    out = subprocess.run(
        [f'{BUILD}/stages/head-renderer', '--stdio', f'--heads={heads}',
         '--frames=1', f'--size={size}', f'--fill={fill}', '--jitter=0',
         f'--ry={yaw}', '--rx=0', '--samples=1'],
        stdout=subprocess.PIPE, check=True).stdout
    return [(i['fields']['frame'], i['fields']['landmarks_true'])
            for i in read(io.BytesIO(out))]


def item(k, fields):
    frames = [np.ascontiguousarray(a).tobytes() for a in fields.values()]
    return ({'v': 1, 'kind': 'item', 'id': k.to_bytes(16, 'big'),
             'parent': bytes(16),
             'fields': {n: tensor(np.asarray(a), i + 1)
                        for i, (n, a) in enumerate(fields.items())}}, frames)


def tape(name, pictures, poses=POSES):
    """One item a picture (frame, points) and pose."""
    with open(f'{DIR}/{name}', 'wb') as f:
        write(f, [item(i * 100 + k, {
            'frame': frame, 'landmarks': points,
            'pose_deg': np.array(pose, np.float32)})
            for i, (frame, points) in enumerate(pictures)
            for k, pose in enumerate(poses)])


# A child's peak begins with that of the process which starts it: a small one.
METER = """import resource, subprocess, sys
rc = subprocess.call(sys.argv[1:])
u = resource.getrusage(resource.RUSAGE_CHILDREN)
print(u.ru_maxrss, u.ru_utime + u.ru_stime, file=sys.stderr)
sys.exit(rc if rc >= 0 else 128 - rc)
"""


def generate(name, *args, limit_kib=0, status=0):
    """The generator's tape as bytes, its messages, (KiB at most, CPU s)."""
    command = [f'{BUILD}/stages/generator', '--stdio', *args]
    if limit_kib:
        command = ['sh', '-c', f'ulimit -v {limit_kib}; exec "$@"', 'sh',
                   *command]
    with open(f'{DIR}/{name}', 'rb') as f:
        p = subprocess.run([sys.executable, '-c', METER, *command], stdin=f,
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    *said, usage = p.stderr.decode().splitlines()
    said = '\n'.join(said)
    assert p.returncode == status, (p.returncode, said)
    return p.stdout, said, [float(v) for v in usage.split()]


def items(data):
    return [i['fields'] for i in read(io.BytesIO(data))]


def psnr(a, b):
    d = a.astype(np.float64) - b
    return 10 * np.log10(255 ** 2 / max((d ** 2).mean(), 1e-9))


def near_face(points, shape):
    """Rows and columns round the face, twice its size."""
    lo, hi = points[:, :2].min(0), points[:, :2].max(0)
    m = 0.5 * (hi - lo).max()
    return (slice(max(int(lo[1] - m), 0), min(int(hi[1] + m), shape[0])),
            slice(max(int(lo[0] - m), 0), min(int(hi[0] + m), shape[1])))


def same():
    """Up to max-side the parameter changes nothing, whatever the face."""
    for size, fill in (('64', .5), ('400x300', .3), ('640x400', 1.2)):
        tape('in', render(size, fill, heads=2, yaw='25'))
        off = generate('in', '--max-side', '0')[0]
        longer = size.split('x')[0]
        assert generate('in')[0] == off, f'{size}: the default'
        assert generate('in', '--max-side', longer)[0] == off, size
        got = items(off)
        assert len(got) == 4 and 'view_window' not in got[0]
        assert (got[0]['generated'] == got[0]['frame']).all(), 'no turn'


def halved():
    """A large face: as the picture reduced beforehand, byte for byte, and much
    as the view of full size, reduced."""
    tape('in', render('1800x1200', .5))
    whole = items(generate('in', '--max-side', '0')[0])
    data, said, _ = generate('in', '--max-side', '900')
    assert '1 reduced to it, 0 cut' in said, said
    small = items(data)
    first = small[0]
    assert (first['view_window'] == [0, 0, 1800, 1200]).all()
    assert first['frame'].shape == (600, 900, 3)
    src = whole[0]['frame'].astype(np.float64)
    mean = src.reshape(600, 2, 900, 2, 3).mean((1, 3))
    assert abs(first['frame'] - mean).max() <= 0.51, 'not the mean of 2 x 2'
    want = (whole[0]['landmarks'] + [0.5, 0.5, 0]) / 2 - [0.5, 0.5, 0]
    assert abs(first['landmarks'] - want).max() < 1e-3
    tape('again', [(first['frame'], first['landmarks'])])
    for a, b in zip(items(generate('again', '--max-side', '0')[0]), small):
        assert (a['generated'] == b['generated']).all(), 'not as if reduced'
    for pose, a, b in zip(POSES, whole, small):
        r = a['generated'].reshape(600, 2, 900, 2, 3).mean((1, 3))
        part = near_face(first['landmarks'], r.shape)
        db = psnr(r[part], b['generated'][part])
        print(f'pose {pose}: {db:.1f} dB from the full view, reduced')
        # the fill behind the head and the smoothing at edges differ a little
        assert db > (45 if pose == (0, 0, 0) else 30), pose


def cut():
    """A small face: a window round it, pixel for pixel; boxes, target and all
    move with it."""
    frame, points = render('3000x2000', .06)[0]
    box = np.array([*points.min(0)[:2], *points.max(0)[:2]], np.float32)
    with open(f'{DIR}/in', 'wb') as f:
        write(f, [item(1, {'frame': frame, 'landmarks': points, 'box': box,
                           'target': points + np.float32([3, 5, 0]),
                           'boxes': np.stack([box, box + 9])})])
    whole = items(generate('in', '--max-side', '0')[0])[0]
    data, said, _ = generate('in', '--max-side', '640')
    assert '0 reduced to it, 1 cut' in said, said
    got = items(data)[0]
    x0, y0, x1, y1 = got['view_window'].astype(int)
    assert (x1 - x0, y1 - y0) == (640, 640)
    assert (got['frame'] == frame[y0:y1, x0:x1]).all()
    for name in ('landmarks', 'target'):
        assert abs(got[name] + [x0, y0, 0] - whole[name]).max() < 1e-3, name
    assert abs(got['box'] + [x0, y0, x0, y0] - box).max() < 1e-3
    assert abs(got['boxes'][1] + [x0, y0, x0, y0] - box - 9).max() < 1e-3
    view = whole['generated'][y0:y1, x0:x1]
    db = psnr(view, got['generated'])
    print(f'cut: {db:.1f} dB from the same part of the full view; '
          f'the source is {psnr(view, got["frame"]):.1f} dB from it')
    assert db > 40 > psnr(view, got['frame'])


def odd():
    """Very long pictures, tiny ones, faces cut by the border, grey."""
    head, points = render('400x300', .5)[0]
    long = np.tile(head[:, :1], (1, 20000, 1))
    long[:, 19600:] = head
    tall = np.tile(head[:1], (9000, 1, 1))
    tall[:300] = head
    grey = np.repeat(tall[:, :, 1:2], 3, 2)
    edge = np.ascontiguousarray(long[:, :19800])  # half of the face
    at_end = points + np.float32([19600, 0, 0])
    tape('in', [(long, at_end), (tall, points), (grey, points), (edge, at_end),
                (head, points)], POSES[1:2])
    got = items(generate('in')[0])
    assert [i['generated'].shape for i in got] == [
        (300, 2048, 3), (2048, 400, 3), (2048, 400, 3), (300, 2048, 3),
        (300, 400, 3)]
    for i in got[:4]:
        assert (i['generated'] != i['frame']).any()
    assert (np.ptp(got[2]['generated'], axis=2) == 0).all(), 'grey stays grey'
    assert got[3]['view_window'][2] == 19800
    # as large as it is it cannot be drawn, and that is said
    _, said, _ = generate('in', '--max-side', '0', status=1)
    assert 'larger than 16384' in said, said
    # points that no face has fail as they do in small pictures
    bad = points.copy()
    bad[3, 0] = np.nan
    tape('in', [(tall, bad), (tall, points * 0 + 7), (tall, points + 1e6),
                (head, points)], POSES[1:2])
    data, said, _ = generate('in', status=1)
    assert len(items(data)) == 1
    for text in ('not finite', 'smaller than 4 pixels', 'too far outside'):
        assert text in said, said


def memory():
    """The peak is a small multiple of the picture; too little of it fails the
    picture with its reason, not the run."""
    asan = b'__asan_init' in open(f'{BUILD}/stages/generator', 'rb').read()
    head, points = render('1500x1000', .3)[0]
    big = head.repeat(4, 0).repeat(4, 1)
    small = render('200', .5)[0]
    tape('in', [(big, points * 4), small], POSES[:2])
    data, _, usage = generate('in')
    assert len(items(data)) == 4
    peak, frame = usage[0] / 1024, big.nbytes / 2 ** 20
    print(f'{frame:.0f} MiB of picture, peak {peak:.0f} MiB')
    # what came in, a copy to know it again by, and the view's own 50 MiB
    assert asan or peak < 2.2 * frame + 110, peak
    if asan:
        return  # address space is not memory there
    # room for the item and its copy, and not for the view
    data, said, _ = generate('in', limit_kib=int(frame * 2.47 * 1024),
                             status=1)
    assert len(items(data)) == 2, 'the small picture after it'
    assert said.count('no memory') == 2, said
    print(said.splitlines()[0])


def big():
    """108 megapixels (tests/long)."""
    head, points = render('4000x3000', .33)[0]
    large = head.repeat(3, 0).repeat(3, 1)
    at = (points + np.float32([.5, .5, 0])) * 3 - np.float32([.5, .5, 0])
    tape('in', [(large, at)], [(0, 10, 0), (0, 20, 0), (0, 30, 0), (0, 40, 0)])
    data, _, usage = generate('in')
    got = items(data)
    print(f'view {got[0]["generated"].shape}, {usage[1] / 4:.2f} s of CPU a '
          f'view, peak {usage[0] / 1024:.0f} MiB')
    assert usage[0] < 1.5 * 2 ** 20
    # in the full view the background stays too
    tape('in', [(large, at)], [(0, 40, 0)])
    data, _, usage = generate('in', '--max-side', '0')
    print(f'max-side 0: {usage[1]:.2f} s of CPU, {usage[0] / 1024:.0f} MiB')
    full, small = items(data)[0]['generated'], got[3]['generated']
    h, w = small.shape[:2]
    y = ((np.arange(h) + .5) * 9000 / h).astype(int)[:, None]
    x = ((np.arange(w) + .5) * 12000 / w).astype(int)[None]
    mean = sum(full[y + j, x + i].astype(np.float64)
               for j in (-2, 0, 2) for i in (-2, 0, 2)) / 9
    db = psnr(mean, small)
    print(f'{db:.1f} dB from the full view, reduced')
    assert db > 38, 'bends what stays at the smaller size'


for check in sys.argv[3:]:
    print(f'-- {check}', flush=True)
    globals()[check]()
