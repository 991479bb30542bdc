"""Compare frames of lib/media/video (tests/stages/video-frames --raw) with those of
the ffmpeg tool. Prints one line a file; exit status 1 if any differs by more
than --tol levels in any pixel, or if the counts differ.

  frames_vs_ffmpeg.py --tool build/tests/stages/video-frames [--all] FILE...

Without --all five evenly spaced frames are compared, with it every frame too.
The reference is told to do what video.h promises: pass every decoded frame,
square pixels, accurate scaling with interpolated chroma."""
import argparse
import json
import os
import subprocess
import sys

import numpy as np

FLAGS = "bicubic+accurate_rnd+full_chroma_int+bitexact"


def ours(tool, path, *args):
    """List of (index, pts_ns, h, w), the raw bytes' pipe and the last line."""
    r, w = os.pipe()
    with open("/dev/null") as null:
        p = subprocess.Popen([tool, "--raw", *args, path], stdin=null,
                             stdout=subprocess.PIPE, stderr=w)
    os.close(w)
    return p, os.fdopen(r, "rb")


def read_exact(f, n):
    b = f.read(n)
    return np.frombuffer(b, np.uint8) if len(b) == n else None


def ffmpeg(path, stream):
    return subprocess.Popen(
        ["ffmpeg", "-nostdin", "-v", "quiet", "-threads", "1",
         "-i", "file:" + path, "-map", f"0:{stream}", "-vf",
         f"scale=iw*sar:ih:flags={FLAGS},format=rgb24", "-fps_mode",
         "passthrough", "-f", "rawvideo", "-"], stdout=subprocess.PIPE)


def stream_of(path):
    """The stream that video.h's rule chooses, by ffprobe's table."""
    out = subprocess.run(
        ["ffprobe", "-v", "quiet", "-select_streams", "v", "-show_entries",
         "stream=index,width,height:stream_disposition=default,attached_pic",
         "-of", "json", "file:" + path], stdout=subprocess.PIPE).stdout
    best, most = None, -1
    for s in json.loads(out or b"{}").get("streams", []):
        d = s.get("disposition", {})
        score = s.get("width", 0) * s.get("height", 0) + (d.get("default", 0) << 40)
        if not d.get("attached_pic") and score > most:
            best, most = s["index"], score
    return best


def difference(a, b):
    if b is None or a.size != b.size:
        return 999
    return int(np.abs(a.astype(np.int16) - b).max())


def compare(tool, path, every, threads):
    stream = stream_of(path)
    frames = {}  # index -> array, of five
    p, log = ours(tool, path, "-t", str(threads))
    data = p.stdout.read()
    lines = log.read().decode().splitlines()
    if p.wait() != 0:
        size = 0
        if stream is not None:  # must be empty-handed too
            ref = ffmpeg(path, stream)
            size = len(ref.communicate()[0])
        why = lines[-1] if lines else "no reason given"
        return ("refused" if size == 0 and lines else "COUNT"), why, 0
    last = lines[-1].split(" note ")
    n = int(last[0].split()[1])
    at = 0
    for line in lines[:-1]:
        i, _, h, w = map(int, line.split())
        frames[i] = (np.frombuffer(data, np.uint8, h * w * 3, at), h, w)
        at += h * w * 3
    shape = {i: f[1:] for i, f in frames.items()}
    q = log2 = None
    if every:
        q, log2 = ours(tool, path, "-t", str(threads), "-n", "0")
    ref = ffmpeg(path, stream)
    # Where the size changes midway the tool scales all to the first size:
    # those frames are counted, not compared.
    first = next(iter(sorted(shape.items())))[1]
    worst = worst_all = count = other = 0
    while True:
        a = read_exact(ref.stdout, first[0] * first[1] * 3)
        if a is None:
            break
        if count in frames and shape[count] == first:
            worst = max(worst, difference(a, frames[count][0]))
        if q:
            line = log2.readline().decode().split()
            if len(line) == 4 and line[0] == str(count):
                size = int(line[2]), int(line[3])
                b = read_exact(q.stdout, size[0] * size[1] * 3)
                if size != first:
                    other += 1
                else:
                    worst_all = max(worst_all, difference(a, b))
            else:
                worst_all = 999
        count += 1
    ref.stdout.close()
    ref.wait()
    if q:
        q.stdout.close()
        log2.close()
        q.wait()
    text = (f"{n} frames (ffmpeg {count}), largest difference {worst} of five"
            + (f", {worst_all} of all" if every else "") + f"; {last[0]}")
    if other:
        text += f"; {other} of another size, not compared"
    if len(last) > 1 and last[1]:
        text += f"; note: {last[1]}"
    return ("ok" if n == count else "COUNT"), text, max(worst, worst_all)


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--tool", required=True)
    a.add_argument("--all", action="store_true")
    a.add_argument("--tol", type=int, default=2)
    a.add_argument("--threads", type=int, default=1)
    a.add_argument("files", nargs="+")
    o = a.parse_args()
    bad = 0
    for path in o.files:
        word, text, worst = compare(o.tool, path, o.all, o.threads)
        if word == "ok" and worst > o.tol:
            word = "DIFFERS"
        bad += word in ("COUNT", "DIFFERS")
        print(f"{word:8s} {path}: {text}", flush=True)
    print(f"{len(o.files)} files, {bad} wrong")
    return bad > 0


if __name__ == "__main__":
    sys.exit(main())
