"""Frames of lib/media/video against the ffmpeg tool's over a matrix of files made
here: containers x codecs, with and without B-frames, edit lists, and time stamps
that are missing, equal, negative, wrapped, huge or those of decoding.

  video_matrix.py --tool build/tests/stages/video-frames [--short] [--only RE]
                  [--part coded|stamps]

For each file: every frame, five even ones and some named ones, byte for byte;
times strictly increasing and those that ffprobe gives, or absent with a note.
The reference is what the ffmpeg tool delivers with -fps_mode passthrough;
frames with transparency are laid over black. A file that our side refuses and
the tool reads counts as wrong. Exit status 1 if any file is wrong."""
import argparse
import concurrent.futures
import hashlib
import os
import re
import subprocess
import sys
import tempfile

import numpy as np

FLAGS = "bicubic+accurate_rnd+full_chroma_int+bitexact"
NO_TIME = -2**63
FRAMES = 24

# name: encoder arguments; the key interval is short, so that choosing frames
# has several places to start from
X264 = "-c:v libx264 -preset fast -threads 1 -g 8 -sc_threshold 0"
X265 = "-c:v libx265 -preset ultrafast"
CODECS = {
    "h264": f"{X264} -bf 0",
    "h264-b": f"{X264} -bf 3",
    "h264-pyramid": f"{X264} -bf 5 -x264-params b-pyramid=normal:b-adapt=0",
    "h264-open": "-c:v libx264 -threads 1 -x264-params open-gop=1:keyint=8:bframes=3",
    "h264-interlaced": f"{X264} -bf 2 -flags +ilme+ildct -x264-params tff=1",
    "hevc": f"{X265} -x265-params keyint=8:bframes=0:pools=1:frame-threads=1:log-level=none",
    "hevc-b": f"{X265} -x265-params keyint=8:bframes=4:pools=1:frame-threads=1:log-level=none",
    "mpeg4": "-c:v mpeg4 -g 8",
    "mpeg4-b": "-c:v mpeg4 -g 8 -bf 2",
    "xvid-b": "-c:v libxvid -g 8 -bf 2",
    "msmpeg4v2": "-c:v msmpeg4v2 -g 8",
    "msmpeg4": "-c:v msmpeg4 -g 8",
    "mpeg1-b": "-c:v mpeg1video -g 8 -bf 2",
    "mpeg2": "-c:v mpeg2video -g 8",
    "mpeg2-b": "-c:v mpeg2video -g 8 -bf 2",
    "mpeg2-interlaced": "-c:v mpeg2video -g 8 -bf 2 -flags +ilme+ildct",
    "vp8": "-c:v libvpx -g 8 -deadline realtime",
    "vp8-altref": "-c:v libvpx -g 12 -auto-alt-ref 1 -lag-in-frames 8 -arnr-maxframes 5",
    "vp8-alpha": "-c:v libvpx -g 8 -auto-alt-ref 0 -pix_fmt yuva420p",
    "vp9": "-c:v libvpx-vp9 -g 8 -cpu-used 8 -deadline realtime",
    "vp9-altref": "-c:v libvpx-vp9 -g 12 -cpu-used 5 -auto-alt-ref 1 -lag-in-frames 12",
    "av1": "-c:v libaom-av1 -g 8 -cpu-used 8 -lag-in-frames 6",
    "av1-svt": "-c:v libsvtav1 -g 8 -preset 12",
    "mjpeg": "-c:v mjpeg",
    "ljpeg": "-c:v ljpeg -pix_fmt yuvj420p -strict -1",
    "jpegls": "-c:v jpegls",
    "jpeg2000": "-c:v jpeg2000",
    "ffv1": "-c:v ffv1",
    "ffv1-p": "-c:v ffv1 -g 8",
    "huffyuv": "-c:v huffyuv",
    "ffvhuff": "-c:v ffvhuff -pix_fmt yuv420p",
    "utvideo": "-c:v utvideo",
    "magicyuv": "-c:v magicyuv -pix_fmt yuv422p",
    "prores": "-c:v prores_ks",
    "prores-alpha": "-c:v prores_ks -pix_fmt yuva444p10le",
    "dnxhr": "-c:v dnxhd -profile:v dnxhr_hq -pix_fmt yuv422p -s 256x128",
    "cfhd": "-c:v cfhd -s 96x64",
    "theora": "-c:v libtheora -g 8",
    "wmv1": "-c:v wmv1 -g 8",
    "wmv2": "-c:v wmv2 -g 8",
    "flv1": "-c:v flv -g 8",
    "flashsv": "-c:v flashsv",
    "h261": "-c:v h261 -s 176x144 -r 29.97",
    "h263": "-c:v h263 -s 176x144 -r 29.97",
    "h263p": "-c:v h263p -g 8",
    "rawvideo": "-c:v rawvideo -pix_fmt yuv420p",
    "rawrgb": "-c:v rawvideo -pix_fmt bgr24",
    "v210": "-c:v v210",
    "gif": "-c:v gif",
    "png": "-c:v png",
    "png-alpha": "-c:v png -pix_fmt rgba",
    "apng": "-c:v apng",
    "qtrle": "-c:v qtrle",
    "svq1": "-c:v svq1 -g 8",
    "cinepak": "-c:v cinepak -pix_fmt rgb24",
    "snow": "-c:v snow -g 8",
    "vc2": "-c:v vc2 -pix_fmt yuv422p",
    "asv1": "-c:v asv1",
    "zmbv": "-c:v zmbv -g 8",
    "zlib": "-c:v zlib",
    "msvideo1": "-c:v msvideo1",
    "rpza": "-c:v rpza -pix_fmt rgb555le",
    "rv10": "-c:v rv10 -g 8 -s 176x144",
    "rv20": "-c:v rv20 -g 8 -s 176x144",
    "dv": "-c:v dvvideo -s 720x576 -pix_fmt yuv420p -r 25",
    "roq": "-c:v roqvideo -s 128x64 -r 30",
    "hap": "-c:v hap",
    "speedhq": "-c:v speedhq -pix_fmt yuv422p",
    "bmp": "-c:v bmp",
    "targa": "-c:v targa",
    "tiff": "-c:v tiff",
    "dpx": "-c:v dpx",
    "qoi": "-c:v qoi",
}
# file ending: muxer
CONTAINERS = {
    "mp4": "mp4", "mov": "mov", "m4v": "ipod", "3gp": "3gp", "3g2": "3g2",
    "f4v": "f4v", "ismv": "ismv", "psp.mp4": "psp", "mkv": "matroska",
    "webm": "webm", "avi": "avi", "ts": "mpegts", "mpg": "mpeg",
    "vob": "vob", "flv": "flv", "ogv": "ogg", "nut": "nut", "asf": "asf",
    "wtv": "wtv", "mxf": "mxf", "gxf": "gxf", "gif": "gif", "apng": "apng",
    "y4m": "yuv4mpegpipe", "h264": "h264", "hevc": "hevc", "mpeg4": "m4v",
    "m1v": "mpeg1video", "m2v": "mpeg2video", "mjpeg": "mjpeg",
    "mpjpeg": "mpjpeg", "h261": "h261", "h263": "h263", "obu": "obu",
    "ivf": "ivf", "dv": "dv", "rm": "rm", "swf": "swf", "roq": "roq",
    "drc": "dirac", "flm": "filmstrip", "cpk": "film_cpk",
}
SHORT = {
    "h264": "mp4 h264", "h264-b": "mp4 mov mkv avi ts flv nut h264 3gp mpg",
    "h264-open": "ts", "hevc-b": "mp4 hevc", "mpeg4": "avi",
    "mpeg4-b": "avi mp4 mkv mpeg4", "xvid-b": "avi", "mpeg1-b": "mpg",
    "mpeg2-b": "ts mxf m2v vob", "vp8-altref": "webm ivf",
    "vp9-altref": "webm ivf", "mjpeg": "avi mjpeg", "ffv1": "mkv",
    "huffyuv": "avi", "prores-alpha": "mov", "theora": "ogv", "wmv2": "asf",
    "flv1": "flv", "rawvideo": "nut y4m", "gif": "gif", "png": "mov",
    "png-alpha": "mov", "apng": "apng", "qtrle": "mov",
}

# Remuxed by copying, from one coded file: name, input options, output options,
# codecs, containers. SETTS: time stamps written anew.
B = "h264-b h264-pyramid hevc-b mpeg4-b mpeg2-b"
ALL = B + " h264 vp9 mjpeg wmv2"
MANY = "mp4 mov mkv avi ts flv nut asf mpg"


def setts(pts, dts=None):
    return f"-bsf:v setts=pts='{pts}'" + (f":dts='{dts}'" if dts else "")


REMUXED = [
    ("genpts", "AVI -fflags +genpts", "", B, "mkv mp4 mov ts nut flv asf"),
    ("pts-is-dts", "", setts("DTS"), B, MANY),
    ("no-pts", "", setts("NOPTS"), ALL, MANY),
    ("some-no-pts", "", setts("if(eq(mod(N,5),3),NOPTS,PTS)"), ALL, MANY),
    ("equal", "", setts("if(eq(mod(N,5),3),PREV_OUTPTS,PTS)"), ALL, MANY),
    ("all-equal", "", setts("0", "0"), ALL, MANY),
    ("negative", "-itsoffset -0.4", "-avoid_negative_ts disabled", ALL, MANY),
    ("late", "-itsoffset 3600", "", ALL, MANY),
    ("jump", "", setts("if(gte(N,13),PTS+90000000,PTS)",
                       "if(gte(N,13),DTS+90000000,DTS)"), ALL, MANY),
    ("back", "", setts("if(gte(N,13),PTS-13*3600,PTS)"), ALL, MANY),
    ("huge", "", setts("PTS+4600000000000000000", "DTS+4600000000000000000"),
     ALL, "nut mkv mp4"),
    ("swapped", "", setts("if(eq(N,9),PTS+900,if(eq(N,10),PTS-900,PTS))"),
     ALL, MANY),
    ("wrap", "-itsoffset 95443.2", "-muxdelay 0", B + " h264", "ts"),
    ("edit", "-ss 0.5", "-avoid_negative_ts disabled", ALL, "mp4 mov"),
    ("edit-late", "-ss 0.7 -itsoffset 5", "", B, "mp4 mov mkv ts"),
    ("fragments", "", "-movflags +frag_keyframe+empty_moov", ALL, "mp4 mov"),
    ("no-edit-list", "", "-use_editlist 0", B, "mp4 mov"),
    ("negative-cts", "", "-movflags +negative_cts_offsets", B, "mp4 mov"),
]
REMUXED_SHORT = {
    "genpts": "h264-b:mkv,mp4 mpeg4-b:mkv", "pts-is-dts": "h264-b:mp4,ts hevc-b:mp4 mpeg2-b:ts mpeg4-b:mp4",
    "no-pts": "h264-b:nut mjpeg:nut", "some-no-pts": "h264-b:nut,ts", "equal": "h264-b:mkv h264:mp4",
    "all-equal": "h264:nut", "negative": "h264-b:mkv", "late": "h264-b:ts",
    "jump": "h264-b:ts", "back": "h264-b:ts", "huge": "h264-b:nut",
    "swapped": "h264-b:mp4", "wrap": "h264-b:ts mpeg2-b:ts", "edit": "h264-b:mp4,mov mpeg4-b:mp4",
    "edit-late": "h264-b:mp4", "fragments": "h264-b:mp4",
    "negative-cts": "h264-b:mp4",
}


def run(args, **kw):
    return subprocess.run(args, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, **kw)


def encode(dir, codec):
    """One coded file in nut, which holds everything; None if this FFmpeg has
    no such encoder."""
    source = f"testsrc2=size=96x64:rate=25,trim=end_frame={FRAMES}"
    if codec.endswith("alpha"):
        source += ",format=rgba,geq=r='r(X,Y)':g='g(X,Y)':b='b(X,Y)':a='mod(X*7+Y*3+N*9,256)'"
    extra = []  # the headers in the stream as well, for raw streams and cuts
    if re.match("h264|hevc|mpeg|xvid", codec):
        extra = ["-bsf:v", "dump_extra=freq=keyframe"]
    for ext in ("nut", "mkv", "mov", "avi", "roq", "rm"):
        path = f"{dir}/coded-{codec}.{ext}"
        r = run(["ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", source,
                 *CODECS[codec].split(), "-flags:v", "+bitexact", *extra, path])
        if r.returncode == 0 and os.path.getsize(path) > 0:
            return path
    return None


def remux(source, path, muxer, before, after):
    """False if this container does not take it."""
    r = run(["ffmpeg", "-v", "error", "-y", *before.split(), "-i", source, "-c",
             "copy", *after.split(), "-f", muxer, path])
    return os.path.exists(path) and os.path.getsize(path) > 0 and (
        r.returncode == 0)


def probe(path):
    """Pixel format, time stamps of the frames (None: missing), their unit, size."""
    out = run(["ffprobe", "-v", "quiet", "-select_streams", "v:0",
               "-show_entries", "stream=pix_fmt,time_base,width,height,sample_aspect_ratio:"
               "frame=pts", "-of",
               "compact", path]).stdout.decode()
    fmt = re.search(r"^stream\|.*pix_fmt=(\w+)", out, re.M)
    base = re.search(r"^stream\|.*time_base=(\d+)/(\d+)", out, re.M)
    pts = []
    for m in re.finditer(r"^frame\|pts=(\S+)", out, re.M):
        p = m.group(1)
        pts.append(int(p) if re.fullmatch(r"-?\d+", p) else None)
    num, den = (int(base.group(1)), int(base.group(2))) if base else (0, 1)
    size = [re.search(rf"^stream\|.*{k}=([\w:]+)", out, re.M)
            for k in ("width", "height", "sample_aspect_ratio")]
    return (fmt.group(1) if fmt else "", pts, (num, den),
            [m.group(1) for m in size if m])


ALPHA = re.compile(r"rgba|bgra|argb|abgr|yuva|gbrap|ya8|ya16|pal8")


def reference(path, fmt, size):
    """Hashes of the tool's frames, of one size."""
    alpha = bool(ALPHA.match(fmt))
    r = run(["ffmpeg", "-nostdin", "-v", "quiet", "-threads", "1", "-i", path,
             "-map", "0:v:0", "-vf", f"scale=iw*sar:ih:flags={FLAGS},format="
             + ("rgba" if alpha else "rgb24"), "-fps_mode", "passthrough",
             "-f", "rawvideo", "-"])
    if len(size) < 2:
        return []
    w, h = int(size[0]), int(size[1])
    if len(size) > 2 and re.fullmatch(r"[1-9]\d*:[1-9]\d*", size[2]):
        a, b = map(int, size[2].split(":"))
        w = int(w * (a / b))
    one = w * h * (4 if alpha else 3)
    if one == 0 or len(r.stdout) % one:
        return []  # nothing sensible: a codec that the container is not for
    frames = []
    for at in range(0, len(r.stdout), one):
        data = r.stdout[at:at + one]
        if alpha:
            p = np.frombuffer(data, np.uint8).reshape(-1, 4).astype(np.uint16)
            data = ((p[:, :3] * p[:, 3:] + 127) // 255).astype(np.uint8).tobytes()
        frames.append(hashlib.md5(data).hexdigest())
    return frames


def ours(tool, path, *args):
    """[(index, pts_ns, hash)], note; or None and the reason."""
    r = run([tool, "--raw", "-t", "2", *args, path])
    lines = r.stderr.decode(errors="replace").splitlines()
    if r.returncode or not lines:
        return None, lines[-1] if lines else f"status {r.returncode}"
    out, at = [], 0
    for line in lines[:-1]:
        i, pts, h, w = map(int, line.split())
        n = h * w * 3
        out.append((i, pts, hashlib.md5(r.stdout[at:at + n]).hexdigest()))
        at += n
    return out, lines[-1].split(" note ", 1)[1]


def times_wrong(frames, note, pts, base):
    """What is wrong with our times, or None."""
    t = [f[1] for f in frames]
    if all(x == NO_TIME for x in t):
        return None if "time stamps" in note else "no times and no note"
    if NO_TIME in t:
        return "some times are missing"
    if any(b <= a for a, b in zip(t, t[1:])):
        return "times do not increase"
    good = len(pts) == len(t) and None not in pts and all(
        b > a for a, b in zip(pts, pts[1:]))
    if good and max(abs(x * base[1] - p * base[0] * 10**9)
                    for x, p in zip(t, pts)) > base[1]:
        return "other times than ffprobe's"
    if not good and None not in pts and pts and "time stamps" not in note:
        return "ffprobe's times do not increase, and there is no note"
    return None


def codec_of(path):
    return run(["ffprobe", "-v", "quiet", "-select_streams", "v:0", "-show_entries",
                "stream=codec_name", "-of", "csv=p=0", path]).stdout.decode().split("\n")[0]


def cut_away(path):
    """Times of the packets that an edit list cuts away: decoders of still pictures
    in FFmpeg 5 show the last of them all the same."""
    out = run(["ffprobe", "-v", "quiet", "-select_streams", "v:0", "-show_entries",
               "packet=pts,flags", "-of", "csv=p=0", path]).stdout.decode()
    return {int(m.group(1)) for m in re.finditer(r"^(-?\d+),[^,\n]*D", out, re.M)}


def compare(tool, path, coded=None):
    """(word, frames compared, text). coded: what it was made from. A writer of
    raw streams takes any codec, and the tool then decodes the file as what its
    name ends in: refusing such a one is right."""
    fmt, pts, base, size = probe(path)
    want = reference(path, fmt, size)
    cut = cut_away(path) if path.endswith((".mp4", ".mov")) else ()
    if cut and len(want) == len(pts):
        want = [w for w, p in zip(want, pts) if p not in cut]
        pts = [p for p in pts if p not in cut]
    got, note = ours(tool, path, "-n", "0")
    if got is None:
        if not want:
            return "refused", 0, note
        taken = codec_of(path)
        if coded and taken != codec_of(coded):
            return "refused", 0, f"{note}; the tool takes it for {taken}"
        return "WRONG", 0, f"refused ({note}); the tool gives {len(want)} frames"
    if "the first of" in note and (not want or codec_of(path) != codec_of(coded)):
        return "ok", 0, note  # pictures in a row that FFmpeg cannot tell apart
    if [g[2] for g in got] != want:
        n = sum(a[2] == b for a, b in zip(got, want))
        return "WRONG", len(want), (
            f"{len(got)} frames, the tool {len(want)}, {n} alike in place; {note}")
    bad = times_wrong(got, note, pts, base)
    if bad:
        return "WRONG", len(want), f"{bad}; {note}"
    n = len(want)
    named = sorted({0, 1, n // 3, n // 2, n // 2 + 1, n - 2, n - 1} & set(range(n)))
    compared = n
    for args in (["-n", "5"], ["-n", "1"], ["-i", ",".join(map(str, named))]):
        some, why = ours(tool, path, *args)
        if some is None or any(g != got[g[0]] for g in some):
            return "WRONG", n, f"{args}: other frames or times than in all; {why}"
        compared += len(some)
    return "ok", compared, f"{n} frames" + (f"; {note}" if note else "")


def plan(short, only, part):
    """(name, codec, muxer, input options, output options) of each file."""
    for codec in () if part == "stamps" else SHORT if short else CODECS:
        for ext in SHORT[codec].split() if short else CONTAINERS:
            if re.search(only, f"{codec}.{ext}"):
                yield f"{codec}.{ext}", codec, CONTAINERS[ext], "", ""
    for word, before, after, codecs, containers in () if part == "coded" else REMUXED:
        pairs = [(c, e) for c in codecs.split() for e in containers.split()]
        if short:
            pairs = [(p.split(":")[0], e) for p in
                     REMUXED_SHORT.get(word, "").split()
                     for e in p.split(":")[1].split(",")]
        for codec, ext in pairs:
            name = f"{word}-{codec}.{ext}"
            if re.search(only, name):
                yield name, codec, CONTAINERS[ext], before, after


def one(tool, dir, coded, name, codec, muxer, before, after):
    """Make a file and compare it; None where the container does not take it."""
    source, path = coded.get(codec), f"{dir}/{name}"
    if not source:
        return None
    if before.startswith("AVI "):  # which has no times of presentation
        before, avi = before[4:], f"{dir}/{name}.avi"
        if not remux(source, avi, "avi", "", ""):
            return None
        source = avi
    if not remux(source, path, muxer, before, after):
        return None
    return compare(tool, path, source)


def spliced(dir, only):
    """Files joined and cut as bytes."""
    def have(name):
        path = f"{dir}/{name}"
        return open(path, "rb").read() if os.path.exists(path) else None

    joined = [("twice", "h264-b.ts", "h264-b.ts"), ("twice", "mpeg2-b.ts", "mpeg2-b.ts"),
              ("twice", "mpeg4-b.ts", "mpeg4-b.ts"), ("twice", "h264-b.h264", "h264-b.h264"),
              ("wrap-then-start", "wrap-h264-b.ts", "h264-b.ts"),
              ("late-then-start", "late-h264-b.ts", "h264-b.ts"),
              ("twice", "hevc-b.hevc", "hevc-b.hevc"), ("twice", "gif.gif", "gif.gif"),
              ("twice", "mpeg2-b.mpg", "mpeg2-b.mpg"), ("twice", "hevc-b.ts", "hevc-b.ts")]
    for word, a, b in joined:
        x, y = have(a), have(b)
        name = f"{word}-{a}"
        if x and y and re.search(only, name):
            with open(f"{dir}/{name}", "wb") as f:
                f.write(x + y)
            yield name, f"{dir}/{name}"
    for source in ("h264-b.ts", "h264-open.ts", "mpeg2-b.ts", "hevc-b.ts", "h264-b.h264",
                   "hevc-b.hevc", "mpeg2-b.m2v", "mpeg2-b.vob", "mpeg4-b.mpeg4"):
        x = have(source)
        for part in (3, 2):
            name = f"cut-{part}-{source}"
            if x and re.search(only, name):
                with open(f"{dir}/{name}", "wb") as f:
                    f.write(x[len(x) // part // 188 * 188:])
                yield name, f"{dir}/{name}"


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--tool", required=True)
    a.add_argument("--short", action="store_true")
    a.add_argument("--only", default="")
    a.add_argument("--part", choices=["coded", "stamps"])
    a.add_argument("--keep", help="folder for the files (else a temporary one)")
    a.add_argument("--jobs", type=int, default=2)
    o = a.parse_args()
    with tempfile.TemporaryDirectory() as t:
        dir = o.keep or t
        os.makedirs(dir, exist_ok=True)
        wrong = frames = n = refused = noted = 0
        results = []
        with concurrent.futures.ThreadPoolExecutor(o.jobs) as pool:
            jobs = list(plan(o.short, o.only, o.part))
            codecs = sorted({j[1] for j in jobs})
            coded = dict(zip(codecs, pool.map(lambda c: encode(dir, c), codecs)))
            lacking = [c for c in codecs if not coded[c]]
            if lacking:
                print("no encoder here:", " ".join(lacking))
            def job(j):
                result = one(o.tool, dir, coded, *j)
                if result and (result[0] != "ok" or not o.short):
                    print(f"{result[0]:8s}{j[0]}: {result[2]}", flush=True)
                return result

            def splice(j):
                result = compare(o.tool, j[1])
                if result[0] != "ok" or not o.short:
                    print(f"{result[0]:8s}{j[0]}: {result[2]}", flush=True)
                return result

            results += pool.map(job, jobs)
            results += pool.map(splice, list(spliced(dir, o.only)))
        for result in results:
            if not result:
                continue
            word, compared, text = result
            n += 1
            wrong += word == "WRONG"
            refused += word == "refused"
            noted += ";" in text
            frames += compared
    print(f"{n} files ({noted} with a note, {refused} that neither reads), "
          f"{frames} frames compared, {wrong} files wrong")
    return wrong > 0 or n == 0


if __name__ == "__main__":
    sys.exit(main())
