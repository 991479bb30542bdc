"""Videos whose numbers are extreme, made by writing over the fields of a sound
MP4: display matrix, rates, sizes, durations, time scale, edit list, sample
counts. Each gives frames (with a note or not) or a reason: no crash, and under
the undefined behaviour sanitizer no report. Times are finite and increase, or
none is there.   odd_numbers.py DIR"""
import os
import struct
import subprocess
import sys

from picture_files import ffmpeg

dir = sys.argv[1]
NO_TIME = -2**63
ffmpeg("-f", "lavfi", "-i", "testsrc2=size=96x64:rate=25", "-frames:v", "12", "-vf",
       "setsar=4/3", "-c:v", "libx264", "-bf", "2", "-g", "6", f"{dir}/sound.mp4")
sound = open(f"{dir}/sound.mp4", "rb").read()
EXTREME = [0, 1, 0x7fffffff, 0x80000000, 0xffffffff, 0x40000000, 0x10000]


def u32(*v):
    return struct.pack(f">{len(v)}I", *v)


def fields():
    """(name, offset, bytes) of each change."""
    at = sound.index(b"tkhd") + 4 + 40
    for v in EXTREME:
        yield f"matrix all {v:#x}", at, u32(*[v] * 9)
        yield f"matrix turned {v:#x}", at, u32(0, v, 0, (-v) & 0xffffffff, 0, 0, 0, 0,
                                               0x40000000)
        yield f"matrix diagonal {v:#x}", at, u32(v, 0, 0, 0, v, 0, 0, 0, 0x40000000)
        yield f"track size {v:#x}", at + 36, u32(v, v)
    for v in EXTREME:
        p = sound.index(b"pasp") + 4
        yield f"pixel aspect {v:#x}:1", p, u32(v, 1)
        yield f"pixel aspect 1:{v:#x}", p, u32(1, v)
        m = sound.index(b"mdhd") + 4 + 12
        yield f"time scale {v:#x}", m, u32(v)
        yield f"duration {v:#x}", m + 4, u32(v)
        h = sound.index(b"mvhd") + 4 + 12
        yield f"movie time scale {v:#x}", h, u32(v)
        s = sound.index(b"stts") + 12
        yield f"sample duration {v:#x}", s + 4, u32(v)
        yield f"sample count {v:#x}", s, u32(v)
        e = sound.index(b"elst") + 12
        yield f"edit duration {v:#x}", e, u32(v)
        yield f"edit start {v:#x}", e + 4, u32(v)
        yield f"edit rate {v:#x}", e + 8, u32(v)
        c = sound.index(b"ctts") + 12
        yield f"composition offset {v:#x}", c + 4, u32(v)
        z = sound.index(b"stsz") + 8
        yield f"sample size {v:#x}", z, u32(v)
        a = sound.index(b"avc1") + 4 + 24
        yield f"coded size {v:#x}", a, u32(v)


tool = os.environ["BUILD"] + "/tests/stages/video-frames"
names, paths = [], []
for name, at, value in fields():
    names.append(name)
    paths.append(f"{dir}/odd{len(names)}.mp4")
    with open(paths[-1], "wb") as f:
        f.write(sound[:at] + value + sound[at + len(value):])
r = subprocess.run([tool, "--raw", "-n", "0", *paths], stdin=subprocess.DEVNULL,
                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
text = r.stderr.decode(errors="replace")
if "runtime error" in text or "Sanitizer" in text or r.returncode not in (0, 1):
    sys.exit(f"FAILED: status {r.returncode}\n{text}")
results, lines = [], []
for line in text.splitlines():
    lines.append(line)
    if not line.split(" ", 1)[0].isdigit():
        results.append(lines)
        lines = []
if len(results) != len(names):
    sys.exit(f"FAILED: {len(results)} of {len(names)} files came to an end\n{text}")
n = gave = 0
for name, lines in zip(names, results):
    n += 1
    if not lines[-1].startswith("frames "):
        if len(lines[-1]) < 20:
            sys.exit(f"FAILED: {name}: no reason")
        continue
    gave += 1
    times = [int(line.split()[1]) for line in lines[:-1]]
    if all(t == NO_TIME for t in times):
        if "time stamps" not in lines[-1]:
            sys.exit(f"FAILED: {name}: no times and no note")
    elif NO_TIME in times or any(b <= a for a, b in zip(times, times[1:])):
        sys.exit(f"FAILED: {name}: times {times}")
    fps = float(lines[-1].split(" fps ")[1].split()[0])
    if not 0 <= fps < 1e12:
        sys.exit(f"FAILED: {name}: {fps} frames a second")
print(f"{n} files, {gave} gave frames")
if gave < n // 3:
    sys.exit("FAILED: too few gave frames to tell anything")
