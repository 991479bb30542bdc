#!/bin/sh
# A sink of ours behind the bridge (`time-limit:`, `restart:`) keeps the record of
# failures that it keeps without it: of what the bridge refuses, of what it is
# killed for, and once for each sample, however often that was tried. A stage
# that reports without pause is stopped at its time limit all the same.
# needs: all c:python3 py:msgpack py:numpy py:zmq tests/stages
set -eu
modules='import zmq, msgpack, numpy'
. "$PWD/tests/support/foreign.sh"
PYTHONPATH=$root/python
export PYTHONPATH
# Five pictures: 1 has points of another shape, 2 a name that leads out of the
# store; 3 comes when there is a file `go`.
cat > src.py <<'P'
import os, time
import numpy as np
import facet

@facet.stage(gives="name str, snippet str, frame u8[H,W,3], landmarks f32[N,3]")
def pictures():
    "Makes pictures."
    for i in range(5):
        while i == 3 and not os.path.exists("go"):
            time.sleep(0.02)
        yield {"name": "../n" if i == 2 else "n", "snippet": f"s{i}",
               "frame": np.full((8, 8, 3), i, "u1"),
               "landmarks": np.zeros((67 if i == 1 else 68, 3), "f4")}

facet.main()
P
cat > p.yaml <<P
version: 1
dead: dead
vars: {retries: 0}
stages:
  src: {run: "$PYTHON src.py"}
  store: {run: sample-writer, from: src, retries: "\${retries}", with: {root: out, format: png}}
P
rows() { # snippet, status: as the store has them
	"$PYTHON" - <<'P'
import csv
with open("out/index.csv", newline="") as f:
    for r in sorted(csv.DictReader(f), key=lambda r: r["snippet"]):
        print(r["snippet"], r["status"], r["stage"])
P
}
# Without the bridge.
touch go
got=0
"$facet" run p.yaml > plain.out 2> err || got=$?
[ $got -eq 1 ] || fail "plain: exit status $got"
rows > plain
[ "$(cut -d' ' -f1 plain | tr '\n' ' ')" = "s0 s1 s2 s3 s4 " ] || fail "plain: $(cat plain)"
grep -q '2 failures noted' plain.out || fail "plain: $(cat plain.out)"

# With it, and with tries: the same rows, the same counts.
sed 's/from: src,/from: src, time-limit: 1 h,/' p.yaml > bridged.yaml
for retries in 0 2; do
	rm -rf out dead
	got=0
	"$facet" run bridged.yaml --set retries=$retries > out.txt 2> err || got=$?
	[ $got -eq 1 ] || fail "bridged, $retries tries more: exit status $got"
	rows > bridged
	cmp plain bridged || fail "bridged: $(cat bridged)"
	grep -q '2 failures noted' out.txt || fail "bridged, $retries tries more: $(cat out.txt)"
done

# It stands still (SIGSTOP): it is killed at its time limit, the next one notes it.
rm -rf out dead go
sed 's/from: src,/from: src, time-limit: 2 s,/' p.yaml > stopped.yaml
"$facet" run stopped.yaml > out.txt 2> err &
run=$!
i=0
until grep -qs '^n,s0' out/.facet/*/journal 2> /dev/null || grep -rqs 's0' out/.facet; do
	i=$((i + 1))
	[ $i -lt 2400 ] || fail "the first picture is not stored"
	sleep 0.05
done
# The sink that has done what came so far: stop it, then let the next one come.
i=0 pid=
while [ -z "$pid" ]; do
	i=$((i + 1))
	[ $i -lt 2400 ] || fail "no sink to stop"
	for p in /proc/[0-9]*; do
		case $(readlink "$p/exe" 2> /dev/null || true) in
		*/sample-writer)
			grep -qzs "^FACET_ENDPOINT=ipc://$dir/run" "$p/environ" && pid=${p#/proc/} ;;
		esac
	done
done
until [ "$(find dead/store -name '*.txt' 2> /dev/null | wc -l)" -ge 2 ]; do
	i=$((i + 1))
	[ $i -lt 4800 ] || fail "what fails has no letters"
	sleep 0.05
done
kill -STOP "$pid"
touch go
got=0
wait $run || got=$?
[ $got -eq 1 ] || fail "stopped: exit status $got"
rows > stopped
grep -q '^s3 ' stopped || fail "what it was killed for has no row: $(cat stopped)"
grep -q '^s4 ok' stopped || fail "the sample after it: $(cat stopped)"
[ "$(wc -l < stopped)" -eq 5 ] || fail "rows: $(cat stopped)"
grep '^s3' stopped | grep -qv ' ok ' || fail "it is noted as $(grep '^s3' stopped)"
grep -q 'out: 5 snippets' out.txt || fail "no closing line: $(cat out.txt)"
"$facet" store verify out > verify 2>&1 || fail "verify: $(cat verify)"

# Reports without pause, and no answer: packed once and sent as fast as can be, so
# that there is always one more waiting for the bridge.
cat > chatter.py <<'P'
import os
import sys
if "--describe" in sys.argv:
    print("""name: chatter
help: Reports for ever at one picture.
kind: transform
in: [{name: in, fields: "snippet str, ..."}]
out: [{name: out, fields: "snippet str, ..."}]
params: []""")
    sys.exit()
import msgpack
import zmq
pair = zmq.Context().socket(zmq.PAIR)
pair.connect(os.environ["FACET_ENDPOINT"])
while True:
    asked = msgpack.unpackb(pair.recv_multipart()[0])
    def say(kind, **fields):
        return msgpack.packb({"v": 1, "kind": kind, "id": asked["id"], "fields": fields})
    if asked["kind"] == "end":
        break
    if asked["fields"]["snippet"] == "s3":
        word = say("report", text="still at it")
        while True:
            pair.send(word)
    pair.send(say("item", snippet=asked["fields"]["snippet"]))
    pair.send(say("done"))
P
cat > chatter.yaml <<P
version: 1
dead: dead2
stages:
  src: {run: "$PYTHON src.py"}
  chatter: {run: "$PYTHON chatter.py", from: src, time-limit: 2 s}
  sink: {run: t-tape, from: chatter, with: {file: chatter.tape}}
P
got=0
"$facet" run chatter.yaml > out.txt 2> err || got=$?
[ $got -eq 1 ] || fail "chatter: exit status $got"
grep -q 'took longer than 2 s (time-limit)' err || fail "chatter: the limit"
[ "$("$PYTHON" -c 'import facet; print(*[i["snippet"] for i in facet.Tape("chatter.tape")])')" = "s0 s1 s2 s4" ] ||
	fail "chatter: another item than the one it was stopped for is missing"
echo "a sink behind the bridge notes what fails"
