"""Pictures in less usual forms: picture_faults.py whole|orientation|alpha|several
DIR. Run by tests/sh/80-fault-*.sh, which say what each is about."""
import struct
import sys

import numpy as np
from picture_files import (can, exif, ffmpeg, heif, jpeg_exif, mpo, png_chunk,
                           png_exif, read, read_all, tiff, upright, webp_exif)

dir = sys.argv[2]
W, H = 70, 48
SOURCE = ["-f", "lavfi", "-i", f"testsrc2=size={W}x{H}"]
checks = made = 0
later = []  # (path, what to do with what it gives)


def put(name, data):
    """A new file for each call, unless it is to be found again."""
    global made
    made += 1
    path = f"{dir}/{made}-{name}" if name.startswith("a.") else f"{dir}/{name}"
    with open(path, "wb") as f:
        f.write(data)
    return path


def get(name):
    with open(f"{dir}/{name}", "rb") as f:
        return f.read()


def check(good, what):
    global checks
    checks += 1
    if not good:
        sys.exit(f"FAILED: {what}")


def taken(path, like, note, what):
    """One frame with these pixels, and a note with this word ("": none)."""
    def look(frames, text):
        check(frames is not None, f"{what}: refused: {text}")
        check(len(frames) == 1, f"{what}: {len(frames)} frames")
        check(frames[0].shape == like.shape and (frames[0] == like).all(),
              f"{what}: other pixels")
        check(note in text and (note or not text), f"{what}: note '{text}'")
    later.append((path, look))


def refused(path, what):
    def look(frames, text):
        check(frames is None, f"{what}: taken with note '{text}'")
        check(len(text) > 20, f"{what}: refused without a reason: {text}")
    later.append((path, look))


def noticed(path, like, what):
    """Refused, or with a note, or with all pixels."""
    later.append((path, lambda some, text: check(
        some is None or text or (len(some) == 1 and (some[0] == like).all()),
        f"{what}: other pixels and no note")))


def refused_or_same(path, like, what):
    """No other pixels, with a note or without."""
    later.append((path, lambda some, text: check(
        some is None or (len(some) == 1 and some[0].shape == like.shape
                         and (some[0] == like).all()),
        f"{what}: other pixels, note '{text}'")))


# Videos (docs/media.md): what can be decoded of them comes, with a note. (FFmpeg
# 5.1 refuses a cut gif of one picture, 7.1 gives what there is.)
VIDEOS = ("gif",)


def cuts(n):
    """Lengths to cut off: near the end, and all over the file."""
    near = (1, 2, 3, 5, 8, 12, 20, 26, 27, 30, 64, 200)
    return sorted(c for c in {*near, *(n * k // 10 for k in range(1, 10))}
                  if 0 < c < n - 1)


def bmp_runs():
    """A BMP of 8 bits with runs, which FFmpeg does not write."""
    rows = b"".join(bytes([30, y, 5, y + 1, 35, 2 * y]) + b"\0\0" for y in range(H))
    rows = rows[:-2] + b"\0\1"
    colours = b"".join(bytes([i, 255 - i, i * 7 % 256, 0]) for i in range(256))
    at = 54 + len(colours)
    return (b"BM" + struct.pack("<IHHI", at + len(rows), 0, 0, at)
            + struct.pack("<IiiHHIIiiII", 40, W, H, 1, 8, 1, len(rows), 0, 0, 256, 0)
            + colours + rows)


def sun_runs():
    """A Sun raster with runs, which older FFmpegs do not write."""
    line = b"\x80\x1d\x07" + b"\x80\x00" + bytes(range(1, 40))
    return struct.pack(">8I", 0x59a66a95, W, H, 8, len(line) * H, 2, 0, 0) + line * H


def generated():
    """(extension and kind, bytes, pixels, note) of all that FFmpeg is to read."""
    kinds = {"bmp": ("bgr24", "pal8", "rgb565", "bgra", "rgb555"),
             "tga": ("bgr24", "bgra", "gray", "pal8", "rgb555le"),
             "tiff": ("rgb24", "rgba", "gray", "pal8", "rgb48le"),
             "dpx": ("rgb24", "rgba", "gray", "rgb48be", "gbrp10be"),
             "sgi": ("rgb24", "rgba", "gray", "rgb48be"),
             "pcx": ("rgb24", "pal8", "gray", "monow"),
             "sun": ("bgr24", "pal8", "gray", "monow"),
             "exr": ("gbrpf32le", "grayf32le", "gbrapf32le"),
             "jls": ("rgb24", "gray", "gray16le"), "webp": ("bgra", "yuv420p", "yuva420p"),
             "ppm": ("rgb24", "rgb48be"), "pgm": ("gray", "gray16be"), "pbm": ("monob",),
             "qoi": ("rgb24", "rgba"), "jp2": ("rgb24",), "gif": ("pal8",),
             "avif": ("yuv420p",), "jxl": ("rgb24",), "xbm": ("monow",),
             "xwd": ("bgr24", "rgb565be"), "pfm": ("gbrpf32le",)}
    more = {"tga": [["-rle", "0"]], "sgi": [["-rle", "0"]], "sun": [["-rle", "0"]],
            "tiff": [["-compression_algo", c] for c in ("raw", "lzw", "deflate")],
            "exr": [["-compression", c] for c in ("none", "rle", "zip1", "zip16")]}
    files = [("bmp runs", bmp_runs()), ("sun runs", sun_runs())]
    for ext, formats in kinds.items():
        for pix in formats:
            for how in [[], *(more.get(ext, []) if pix == formats[0] else [])]:
                path = f"{dir}/t-{pix}.{ext}"
                if can(*SOURCE, "-frames:v", "1", *how, "-pix_fmt", pix, "-update", "1", path):
                    files.append((f"{ext} {pix} {' '.join(how)}", get(f"t-{pix}.{ext}")))
    if can(*SOURCE, "-frames:v", "1", "-c:v", "ljpeg", "-pix_fmt", "bgr24", f"{dir}/l.jpg"):
        files.append(("jpg lossless", get("l.jpg")))
    paths = [put(f"a.{name.split()[0]}", data) for name, data in files]
    for (name, data), (frames, note) in zip(files, read_all(paths)):
        check(frames is not None and len(frames) == 1, f"{name}: refused: {note}")
        yield name, data, frames[0], note


def whole():
    ffmpeg(*SOURCE, "-frames:v", "1", "-q:v", "3", f"{dir}/baseline.jpg")
    for name in ("baseline",):
        data = get(f"{name}.jpg")
        like = read(f"{dir}/{name}.jpg")[0][0]
        taken(put("a.jpg", data[:-2]), like, "ends early", f"{name}: no EOI")
        taken(put("a.jpg", data[:-1]), like, "ends early", f"{name}: half of EOI")
        taken(put("a.jpg", data + b"garbage\0\xff"), like, "", f"{name}: bytes after EOI")
        for cut in (40, len(data) // 3, len(data) // 2):
            refused(put("a.jpg", data[:-cut]), f"{name}: {cut} bytes short")
            refused(put("a.jpg", data[:-cut] + b"\xff\xd9"),
                    f"{name}: {cut} bytes cut out before EOI")
    for pix in ("rgb24", "rgba", "gray", "pal8", "rgb48be"):
        ffmpeg(*SOURCE, "-frames:v", "1", "-pix_fmt", pix, f"{dir}/w.png")
        data = get("w.png")
        like = read(f"{dir}/w.png")[0][0]
        taken(put("a.png", data[:-12]), like, "ends early", f"PNG {pix}: no IEND")
        taken(put("a.png", data[:-5]), like, "ends early", f"PNG {pix}: half of IEND")
        taken(put("a.png", data[:-16]), like, "ends early", f"PNG {pix}: no checksum")
        taken(put("a.png", data + b"garbage"), like, "", f"PNG {pix}: bytes after IEND")
        refused(put("a.png", data[:-200]), f"PNG {pix}: 200 bytes short")
        damaged = bytearray(data)
        damaged[len(data) // 2] ^= 0x55
        refused(put("a.png", damaged), f"PNG {pix}: a damaged byte")
        text = bytearray(png_chunk(b"tEXt", b"Title\0x"))
        text[-1] ^= 1
        taken(put("a.png", data[:33] + text + data[33:]), like, "damaged chunk",
              f"PNG {pix}: text with a wrong checksum")
    for name, data, like, note in generated():
        video = name.split()[0] in VIDEOS
        check(not note, f"{name}: whole, with note '{note}'")
        for cut in cuts(len(data)):
            (noticed if video else refused_or_same)(
                put(f"a.{name.split()[0]}", data[:-cut]), like,
                f"{name} {cut} bytes short")
    if can(*SOURCE, "-frames:v", "1", f"{dir}/q.qoi"):
        data = get("q.qoi")
        for cut in (1, 8, 10, 30, len(data) // 2, len(data) - 14):
            refused(put("a.qoi", data[:-cut]), f"QOI {cut} bytes short")
    # the header alone
    for ext in ("jpg", "png", "webp", "bmp", "tiff"):
        name = {"jpg": "baseline.jpg", "png": "w.png", "webp": "t-yuv420p.webp",
                "bmp": "t-bgr24.bmp", "tiff": "t-rgb24.tiff"}[ext]
        for n in range(1, 60, 7):
            refused(put(f"a.{ext}", get(name)[:n]), f"{ext}: {n} bytes")


def orientation():
    ffmpeg(*SOURCE, "-frames:v", "1", "-q:v", "2", f"{dir}/o.jpg")
    ffmpeg(*SOURCE, "-frames:v", "1", "-pix_fmt", "rgb24", f"{dir}/o.png")
    a = read(f"{dir}/o.png")[0][0]
    put("o.tiff", tiff(a, 1))
    webp = can(*SOURCE, "-frames:v", "1", "-c:v", "libwebp", "-lossless", "0",
               f"{dir}/o.webp")
    makers = {
        "jpg": lambda o, order: jpeg_exif(get("o.jpg"), exif(o, order)),
        "png": lambda o, order: png_exif(get("o.png"), exif(o, order)),
        "tiff": lambda o, order: tiff(a, o, order),
    }
    if webp:
        makers["webp"] = lambda o, order: webp_exif(get("o.webp"), W, H, exif(o, order))
    for ext, make in makers.items():
        base = read(f"{dir}/o.{ext}")[0][0]
        for o in range(1, 9):
            for order in "<>":
                taken(put(f"a.{ext}", make(o, order)), upright(base, o), "",
                      f"{ext}: orientation {o} {order}")
        for o in (0, 9, 65535):
            taken(put(f"a.{ext}", make(o, "<")), base, "", f"{ext}: orientation {o}")
    for codec, ext in (("libx265", "heic"), ("libaom-av1", "avif")):
        if not can("-f", "lavfi", "-i", f"testsrc2=size=96x64", "-frames:v", "1",
                   "-c:v", codec, *(["-x265-params", "log-level=none"]
                                    if codec == "libx265" else []), "-pix_fmt", "yuv420p", f"{dir}/{ext}.mp4"):
            print(f"no encoder {codec}: {ext} left out")
            continue
        mp4 = get(f"{ext}.mp4")
        frames, why = read(put(f"a.{ext}", heif(mp4, 96, 64)))
        check(frames is not None, f"{ext}: {why}")
        base = frames[0]
        check(base.shape == (64, 96, 3) and base.std() > 30, f"{ext}: no picture")
        video = read(f"{dir}/{ext}.mp4")[0][0].astype(int)
        # libheif repeats chroma samples where FFmpeg interpolates: edges differ
        check(abs(video - base).mean() < 12 and
              abs((video - base).mean((0, 1))).max() < 2,
              f"{ext}: not the video's picture")
        for turn in range(4):
            taken(put(f"a.{ext}", heif(mp4, 96, 64, turn)), np.rot90(base, turn), "",
                  f"{ext}: irot {turn}")
        taken(put(f"a.{ext}", heif(mp4, 96, 64, None, 0)), base[::-1], "", f"{ext}: imir 0")
        taken(put(f"a.{ext}", heif(mp4, 96, 64, None, 1)), base[:, ::-1], "", f"{ext}: imir 1")
        for n in (30, 200, len(heif(mp4, 96, 64)) - 400):
            refused(put(f"a.{ext}", heif(mp4, 96, 64)[:n]), f"{ext}: {n} bytes")


def alpha():
    """Hidden colours of transparent pixels must not show, in any format."""
    y, x = np.mgrid[0:H, 0:W]
    a = np.stack([x * 3 % 256, y * 5 % 256, (x * y) % 256, (x * 7 + y * 3) % 256],
                 -1).astype(np.uint8)
    a[:8, :, 3] = 0
    a[8:16, :, 3] = 255
    want = ((a[..., :3].astype(int) * a[..., 3:] + 127) // 255).astype(np.uint8)
    put("alpha.rgba", a.tobytes())
    raw = ["-f", "rawvideo", "-pix_fmt", "rgba", "-s", f"{W}x{H}", "-i", f"{dir}/alpha.rgba"]
    formats = [("png", []), ("tga", []), ("tiff", []), ("qoi", []), ("mov", ["-c:v", "png"]),
               ("webp", ["-c:v", "libwebp", "-lossless", "1"]), ("apng", []),
               ("mkv", ["-c:v", "ffv1", "-pix_fmt", "bgra"]), ("dpx", []), ("sgi", [])]
    for ext, how in formats:
        path = f"{dir}/alpha.{ext}"
        if not can(*raw, *how, path):
            print(f"no encoder for {ext}")
            continue
        frames, why = read(path)
        check(frames is not None and len(frames) == 1, f"alpha in {ext}: {why}")
        hidden = a[..., 3] == 0
        if ext == "webp":  # libwebp may change colours that do not show
            near = abs(frames[0].astype(int) - want).max() <= 1
        else:
            near = (frames[0] == want).all()
        check(near and (frames[0][hidden] == 0).all(), f"alpha in {ext}: not over black")
    put("own.tiff", tiff(a, 1))
    check((read(f"{dir}/own.tiff")[0][0] == want).all(), "alpha in a TIFF of ours")
    # a gif's transparent pixels
    ffmpeg(*raw, "-vf", "format=rgba,split[a][b];[a]palettegen[p];[b][p]paletteuse",
           f"{dir}/alpha.gif")
    got = read(f"{dir}/alpha.gif")[0][0]
    check((got[:8] == 0).all(), "transparent pixels of a gif are not black")


def several():
    """Files with more pictures than the one taken say so, or are clips."""
    ffmpeg(*SOURCE, "-frames:v", "10", "-q:v", "3", f"{dir}/j%02d.jpg")
    jpegs = [get(f"j{i:02d}.jpg") for i in range(1, 11)]
    first = read(f"{dir}/j01.jpg")[0][0]
    for n in (2, 10):
        frames, note = read(put("raw.mjpeg", b"".join(jpegs[:n])))
        check(frames is not None and len(frames) == n and not note,
              f"{n} JPEGs in a row: {len(frames or [])} frames, '{note}'")
    # what image2pipe writes: a clip; where FFmpeg reads but the first, a note
    for ext in ("png", "ppm", "pgm", "bmp", "webp", "qoi", "jls", "tga"):
        made = [can(*SOURCE, "-vf", f"trim=start_frame={i}", "-frames:v", "1",
                    "-update", "1", f"{dir}/row{i}.{ext}") for i in range(3)]
        if not all(made):
            continue
        frames, note = read(put(f"row.{ext}", b"".join(get(f"row{i}.{ext}")
                                                      for i in range(3))))
        check(frames is not None, f"3 {ext} in a row: {note}")
        alone = [read(f"{dir}/row{i}.{ext}")[0][0] for i in range(3)]
        check(len(frames) == 3 or "first of 3 pictures" in note,
              f"3 {ext} in a row: {len(frames)} frames, note '{note}'")
        # libwebp reads one alone, FFmpeg a row: other roundings
        far = max(np.abs(f.astype(int) - a).mean() for f, a in zip(frames, alone))
        check(far < (3 if ext == "webp" else 1e-9), f"3 {ext} in a row: other pixels")
    ffmpeg(*SOURCE, "-frames:v", "1", "-s", "32x24", f"{dir}/small.jpg")
    taken(put("preview.jpg", jpegs[0] + get("small.jpg")), first, "",
          "a JPEG with a smaller one behind it")
    taken(put("a.mpo", mpo(jpegs[0], jpegs[1])), first, "first of 2 pictures", "MPO")
    ffmpeg(*SOURCE, "-frames:v", "5", "-plays", "0", f"{dir}/moving.apng")
    frames, note = read(f"{dir}/moving.apng")
    check(frames is not None and len(frames) == 5, f"animated PNG: {note}")
    a = read(f"{dir}/j01.jpg")[0][0]
    taken(put("pages.tiff", tiff(a, 1, "<", 3)), a, "first of 3 pages", "TIFF of 3 pages")
    loop = bytearray(tiff(a, 1))
    at = 8 + 2 + 120
    loop[at:at + 4] = struct.pack("<I", 8)  # the only page follows itself
    taken(put("loop.tiff", loop), a, "pages", "TIFF whose pages go round")
    if can(*SOURCE, "-frames:v", "4", "-c:v", "libwebp_anim", "-lossless", "1",
           "-pix_fmt", "bgra", f"{dir}/anim.webp"):
        ffmpeg(*SOURCE, "-frames:v", "4", "-pix_fmt", "bgra", "-c:v", "ffv1",
               f"{dir}/anim.mkv")
        want = read(f"{dir}/anim.mkv")[0]
        frames, note = read(f"{dir}/anim.webp")
        check(frames is not None, f"animated WebP: {note}")
        check(len(frames) == 4 or "pictures of an animated" in note,
              f"animated WebP: {len(frames)} frames, note '{note}'")
        check(all((f == w).all() for f, w in zip(frames, want)),
              "animated WebP: other pixels")
        cut = get("anim.webp")
        cut = cut[:len(cut) // 2]
        frames, note = read(put("cut.webp", cut))
        check(frames is None or "ends early" in note,
              f"animated WebP cut in half: {len(frames or [])} frames, note '{note}'")


{"whole": whole, "orientation": orientation, "alpha": alpha,
 "several": several}[sys.argv[1]]()
for (_, look), result in zip(later, read_all([path for path, _ in later])):
    look(*result)
print(f"{checks} checks")
