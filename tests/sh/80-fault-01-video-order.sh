#!/bin/sh
# An H.264 stream with B-frames, from AVI remuxed with -fflags +genpts, carries
# PTS = DTS: frames come in the decoder's order, as the ffmpeg tool gives them,
# with a note and strictly increasing times; each mode of frame-sampler chooses
# from that order.
# needs: all c:ffmpeg c:python3 py:msgpack py:numpy
set -eu
command -v ffmpeg >/dev/null || { echo "no ffmpeg tool"; exit 77; }
"$PYTHON" -c 'import numpy, msgpack' 2>/dev/null || { echo "no numpy or msgpack"; exit 77; }
b=$(pwd)/$BUILD py=$(pwd)/tests/py
t=$(mktemp -d)
trap 'rm -rf "$t"' EXIT INT TERM
cd "$t"
fail() { echo "FAILED: $*" >&2; exit 1; }
ffmpeg -nostdin -v error -f lavfi -i testsrc2=size=64x64:rate=25 -frames:v 40 \
	-c:v libx264 -bf 3 -g 10 -sc_threshold 0 -threads 1 right.avi
ffmpeg -nostdin -v error -fflags +genpts -i right.avi -c copy genpts.mkv 2>/dev/null
cat > look.py <<'P'
import hashlib, subprocess, sys
sys.path.insert(0, sys.argv[1])
import facet_tape
n = 40
for path in ("right.avi", "genpts.mkv"):
    raw = subprocess.run(
        ["ffmpeg", "-v", "quiet", "-i", path, "-fps_mode", "passthrough", "-sws_flags",
         "bicubic+accurate_rnd+full_chroma_int+bitexact", "-pix_fmt", "rgb24",
         "-f", "rawvideo", "-"], stdout=subprocess.PIPE).stdout
    want = [raw[i:i + 64 * 64 * 3] for i in range(0, len(raw), 64 * 64 * 3)]
    assert len(want) == n, f"{path}: the tool gives {len(want)} frames"
    for mode in (["all"], ["even", "--count", "7"], ["random", "--count", "9"],
                 ["every", "--every", "3"], ["index", "--indices", "1,2,3,17,-1"],
                 ["fps", "--rate", "5"]):
        tape = subprocess.run([sys.argv[2] + "/stages/frame-sampler", "--stdio", "--mode",
                               *mode], stdin=open(path + ".tape", "rb"),
                              stdout=open("out.tape", "wb"), stderr=subprocess.PIPE)
        assert tape.returncode == 0, tape.stderr.decode()
        items = [i["fields"] for i in facet_tape.read(open("out.tape", "rb"))]
        assert len(items) >= 5, f"{path} {mode}: {len(items)} frames"
        for f in items:
            i = f["frame_index"]
            assert f["frame"].tobytes() == want[i], f"{path} {mode}: frame {i} is another"
            noted = "order of display" in f.get("decode_note", "")
            assert noted == (path == "genpts.mkv"), f"{path} {mode}: note {f.get('decode_note')}"
        times = [f["pts_ns"] for f in items]
        assert all(a < b for a, b in zip(times, times[1:])), f"{path} {mode}: {times}"
        if mode == ["all"]:
            assert times[-1] - times[0] == (n - 1) * 40_000_000, f"{path}: {times}"
print("right.avi and genpts.mkv: six modes, every frame the tool's")
P
for f in right.avi genpts.mkv; do "$b/facet" tape make -o $f.tape "path=str:$f"; done
"$PYTHON" look.py "$py" "$b" || fail "see above"

# times that cannot be: no field pts_ns, and the note says so
ffmpeg -nostdin -v error -i right.avi -c copy -f h264 raw.h264 2>/dev/null
"$b/facet" tape make path=str:raw.h264 | "$b/stages/frame-sampler" --stdio --count 3 > raw.tape 2>/dev/null
"$b/facet" tape show raw.tape > shown
grep -q 'decode_note.*no usable time stamps' shown || fail "no note on a raw stream: $(cat shown)"
! grep -q pts_ns shown || fail "a raw stream has times"
grep -q 'frame_index  *i64  *39' shown || grep -q 'frame_index.* 39' shown || fail "not the last frame: $(cat shown)"
