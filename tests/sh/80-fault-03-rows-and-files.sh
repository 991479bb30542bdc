# A store that is written again with other parameters, resumed with others, or
# by two runs at once: the rows of index.csv and the files they name belong
# together, always (fault 03).
# needs: all c:ffmpeg c:python3
set -eu
. "$(pwd)/tests/support/scratch.sh"

# clips whose frames tell their own number: frame k is one grey, 16 k + 8
cat > clip.py <<'P'
import sys, subprocess
path, frames = sys.argv[1], int(sys.argv[2])
data = b"".join(bytes([16 * k + 8]) * (64 * 48) for k in range(frames))
subprocess.run(["ffmpeg", "-v", "error", "-y", "-f", "rawvideo", "-pix_fmt",
                "gray", "-s", "64x48", "-r", "25", "-i", "-", "-c:v", "ffv1",
                "-pix_fmt", "gray", path], input=data, check=True)
P
command -v ffmpeg >/dev/null || { echo "no ffmpeg to make clips with"; exit 77; }
mkdir -p v/id/x
for i in 1 2 3 4 5 6; do "$PYTHON" clip.py v/id/x/$i.mkv 12; done

# each row's picture shows the frame of its frame_index, and its sum is the file's
cat > check.py <<'P'
import csv, os, sys, zlib
store = sys.argv[1]
def first_grey(path):
    """The first pixel of an 8-bit PNG without interlacing."""
    b = open(path, "rb").read()
    at, data = 8, b""
    while at < len(b):
        n = int.from_bytes(b[at:at + 4], "big")
        if b[at + 4:at + 8] == b"IDAT":
            data += b[at + 8:at + 8 + n]
        at += n + 12
    return zlib.decompress(data)[1]
rows = bad = 0
named = set()
for r in csv.DictReader(open(store + "/index.csv")):
    if r["status"] != "ok":
        continue
    rows += 1
    path = store + "/" + r["frame"]
    named.add(os.path.normpath(path))
    size = os.path.getsize(path)
    if int(r["frame_sum"].split("-")[0]) != size or len(r["recipe"]) != 32:
        bad += 1
    if abs(first_grey(path) - (16 * int(r["frame_index"]) + 8)) > 3:
        print("wrong:", r["i"], r["frame_index"], first_grey(path))
        bad += 1
for at, dirs, files in os.walk(store):
    dirs[:] = [d for d in dirs if not d.startswith("settings-")]
    for f in files:
        if f.startswith("frame_") and os.path.normpath(at + "/" + f) not in named:
            print("no row names", at + "/" + f)
            bad += 1
print(rows, "rows,", bad, "bad")
sys.exit(bad > 0)
P
cat > p.yaml <<'W'
version: 1
help: "frames into a store"
vars: {out: s, frames: 3, retry: none, mode: even, other: remake}
stages:
  catalog: {run: catalog, with: {root: v, done: "${out}", retry: "${retry}"}}
  frames: {run: frame-sampler, from: catalog, with: {count: "${frames}", mode: "${mode}"}}
  store: {run: sample-writer, from: [frames, frames.failed], with: {root: "${out}", format: png, other: "${other}"}}
W
run() { "$facet" run -q p.yaml "$@" > run.out 2> run.err || { cat run.err; fail "run $*"; }; }
check() { "$PYTHON" check.py "$1" > c.out || { cat c.out; fail "$1: rows and files disagree"; }; has c.out "$2 rows, 0 bad"; }

# (a) again with another frames=
run
check s 18
run --set frames=8 --set retry=all
check s 48
has run.out "18 of 18 samples in 's' are there from other settings (frames.count: 3 -> 8): made anew"
has run.out "30 files written, 6 were there, 12 replaced"
# fewer again: what is no more goes
run --set frames=3
check s 18
has run.out "30 removed"
[ ! -e s/id/x/1.mkv/frame_3.png ] || fail "frame_3 is still there"

# (b) stopped half way, and resumed with others
for i in 1 2 3 4; do
	rm -rf s
	run
	"$facet" run -q p.yaml --set frames=8 > /dev/null 2>&1 &
	pid=$!
	n=0
	while [ $n -lt 6000 ] && ! grep -qs . s/.facet/writer-*/journal.tsv &&
		kill -0 $pid 2>/dev/null; do n=$((n + 1)); sleep 0.01; done
	kill -9 $pid 2>/dev/null || true
	wait $pid 2>/dev/null || true
	run --set frames=$((i + 3))
	check s $((6 * (i + 3)))
done

# (c) two runs at once: one is refused, or they stand apart
cat > slow.yaml <<'W'
version: 1
help: "frames into a store, slowly"
vars: {out: s, frames: 3, other: remake}
stages:
  catalog: {run: catalog, with: {root: v, done: "${out}"}}
  frames: {run: frame-sampler, from: catalog, with: {count: "${frames}"}}
  store: {run: sample-writer, from: frames, with: {root: "${out}", format: png, other: "${other}"}}
  wait: {run: "sh wait.sh", from: frames}
W
cat > wait.sh <<'S'
[ "${1:-}" != --describe ] || { echo 'name: wait
help: Waits.
kind: sink
in: "frame u8[H,W,3]"'; exit 0; }
: > started
n=0
while [ ! -e go ] && [ $n -lt 12000 ]; do n=$((n + 1)); sleep 0.01; done
exit 1
S
"$facet" run -q slow.yaml --set out=two > slow.out 2> slow.err &
pid=$!
n=0
while [ ! -e started ] && [ $n -lt 6000 ]; do n=$((n + 1)); sleep 0.01; done
code=0; "$facet" run -q slow.yaml --set out=two --set frames=8 > b.out 2> b.err || code=$?
[ $code -eq 3 ] || { cat b.err; fail "two runs at once: exit $code, not 3"; }
has b.err "another run with other settings (frames.count: 3 -> 8) is writing to 'two'"
run --set out=two --set frames=8 --set other=apart
check two/settings-* 48
: > go
wait $pid || true
run --set out=two --set frames=3
check two 18
check two/settings-* 48
