"""Picture files with one odd thing each, made from what ffmpeg encodes: EXIF in
JPEG, PNG, WebP and TIFF, HEIC and AVIF with turns and mirrors, MPO."""
import os
import struct
import subprocess
import zlib

import numpy as np


def ffmpeg(*args):
    subprocess.run(["ffmpeg", "-nostdin", "-v", "error", "-y", *args], check=True)


def can(*args):
    """Can this ffmpeg do it? (An encoder may be missing.)"""
    return subprocess.run(["ffmpeg", "-nostdin", "-v", "quiet", "-y", *args]
                          ).returncode == 0


def read_all(paths):
    """For each file (list of u8[H,W,3], note) or (None, reason), by
    lib/media/video; all in one process."""
    r = subprocess.run([os.environ["BUILD"] + "/tests/stages/video-frames", "--raw",
                        "-n", "0", *paths], stdin=subprocess.DEVNULL,
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    lines = r.stderr.decode(errors="replace").splitlines()
    assert r.returncode in (0, 1), f"status {r.returncode}\n" + "\n".join(lines)
    out, frames, at = [], [], 0
    for line in lines:
        word = line.split(" ", 1)[0]
        if word == "frames":
            out.append((frames, line.split(" note ", 1)[1]))
            frames = []
        elif word.isdigit():
            h, w = map(int, line.split()[2:])
            frames.append(np.frombuffer(r.stdout, np.uint8, h * w * 3, at)
                          .reshape(h, w, 3))
            at += h * w * 3
        else:
            out.append((None, line))
            frames = []
    assert len(out) == len(paths), "\n".join(lines)
    return out


def read(path):
    return read_all([path])[0]


def upright(a, orientation):
    """What EXIF orientation 1..8 asks for."""
    return {1: a, 2: a[:, ::-1], 3: a[::-1, ::-1], 4: a[::-1],
            5: a.transpose(1, 0, 2), 6: np.rot90(a, -1),
            7: a[::-1, ::-1].transpose(1, 0, 2), 8: np.rot90(a, 1)}[orientation]


def exif(orientation, order="<"):
    mark = b"II" if order == "<" else b"MM"
    return mark + struct.pack(order + "HIHHHIHHI", 42, 8, 1, 0x0112, 3, 1,
                              orientation, 0, 0)


def jpeg_exif(data, block):
    block = b"Exif\0\0" + block
    return data[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block + data[2:]


def png_chunk(kind, body):
    return (struct.pack(">I", len(body)) + kind + body
            + struct.pack(">I", zlib.crc32(kind + body)))


def png_exif(data, block):
    return data[:33] + png_chunk(b"eXIf", block) + data[33:]


def riff(body):
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def webp_exif(data, w, h, block):
    """A simple WebP file as an extended one with EXIF."""
    body = data[12:]
    if body[:4] == b"VP8X":
        body = body[18:]
    alpha = body[:4] == b"VP8L"
    x = b"VP8X" + struct.pack("<IB3x", 10, 0x08 | (0x10 if alpha else 0))
    x += struct.pack("<I", w - 1)[:3] + struct.pack("<I", h - 1)[:3]
    return riff(x + body + b"EXIF" + struct.pack("<I", len(block)) + block
                + b"\0" * (len(block) % 2))


def tiff(a, orientation, order="<", pages=1):
    """u8[H,W,3 or 4] uncompressed."""
    h, w, c = a.shape
    out = (b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, 8)
    size = 2 + 12 * (11 if c == 4 else 10) + 4
    for page in range(pages):
        at = 8 + page * size
        depth, pixels = 8 + pages * size, 8 + pages * size + 8
        tags = [(256, 3, 1, w), (257, 3, 1, h), (258, 3, c, depth), (259, 3, 1, 1),
                (262, 3, 1, 2), (273, 4, 1, pixels), (274, 3, 1, orientation),
                (277, 3, 1, c), (278, 3, 1, h), (279, 4, 1, a.size)]
        if c == 4:
            tags.append((338, 3, 1, 2))  # alpha, not premultiplied
        out += struct.pack(order + "H", len(tags))
        for tag, kind, n, v in tags:
            value = struct.pack(order + "HH", v, 0) if kind == 3 and n == 1 else (
                struct.pack(order + "I", v))
            out += struct.pack(order + "HHI", tag, kind, n) + value
        out += struct.pack(order + "I", at + size if page + 1 < pages else 0)
    return out + struct.pack(order + "4H", 8, 8, 8, 8) + a.tobytes()


def box(kind, *parts):
    body = b"".join(parts)
    return struct.pack(">I", len(body) + 8) + kind + body


def find_box(data, kind):
    at = data.index(kind) - 4
    return data[at:at + struct.unpack_from(">I", data, at)[0]]


def heif(mp4, w, h, turn=None, mirror=None):
    """The first sample of an MP4 with HEVC or AV1 as a HEIC or AVIF file. turn:
    quarter turns counter-clockwise; mirror: 0 top and bottom change places, 1
    left and right (ISO/IEC 23008-12, irot and imir)."""
    av1 = b"av1C" in mp4
    brand, item, config = ((b"avif", b"av01", b"av1C") if av1 else
                           (b"heic", b"hvc1", b"hvcC"))
    size = struct.unpack_from(">I", mp4, mp4.index(b"stsz") + 8)[0]
    if size == 0:
        size = struct.unpack_from(">I", mp4, mp4.index(b"stsz") + 16)[0]
    at = struct.unpack_from(">I", mp4, mp4.index(b"stco") + 12)[0]
    sample = mp4[at:at + size]
    props = [find_box(mp4, config), box(b"ispe", struct.pack(">III", 0, w, h)),
             box(b"colr", b"nclx", struct.pack(">HHHB", 6, 6, 6, 0))]
    if turn is not None:
        props.append(box(b"irot", bytes([turn])))
    if mirror is not None:
        props.append(box(b"imir", bytes([mirror])))
    links = bytes([0x81, 2, 3]) + bytes(
        0x80 | i for i in range(4, len(props) + 1))
    ftyp = box(b"ftyp", brand, b"\0\0\0\0", b"mif1", brand, b"miaf")

    def meta(offset):
        return box(
            b"meta", b"\0\0\0\0",
            box(b"hdlr", struct.pack(">II4s12x", 0, 0, b"pict"), b"\0"),
            box(b"pitm", struct.pack(">IH", 0, 1)),
            box(b"iloc", struct.pack(">IBBHHHHII", 0, 0x44, 0, 1, 1, 0, 1, offset,
                                     len(sample))),
            box(b"iinf", struct.pack(">IH", 0, 1),
                box(b"infe", struct.pack(">IHH4s", 2 << 24, 1, 0, item), b"\0")),
            box(b"iprp", box(b"ipco", *props),
                box(b"ipma", struct.pack(">IIHB", 0, 1, 1, len(links)), links)))

    offset = len(ftyp) + len(meta(0)) + 8
    return ftyp + meta(offset) + box(b"mdat", sample)


def mpo(first, second):
    """Two JPEGs as a multi-picture file (CIPA DC-007)."""
    index = b"II" + struct.pack("<HIH", 42, 8, 3)
    index += struct.pack("<HHI4s", 0xb000, 7, 4, b"0100")
    index += struct.pack("<HHII", 0xb001, 4, 1, 2)
    index += struct.pack("<HHII", 0xb002, 7, 32, 8 + 2 + 36 + 4) + struct.pack("<I", 0)
    index += struct.pack("<IIIHH", 0x20030000, len(first), 0, 0, 0)
    index += struct.pack("<IIIHH", 0x00020002, len(second), len(first), 0, 0)
    body = b"MPF\0" + index
    return (first[:2] + b"\xff\xe2" + struct.pack(">H", len(body) + 2) + body
            + first[2:] + second)
