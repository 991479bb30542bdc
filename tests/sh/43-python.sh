# Stages in another language: the example gives what our own stage gives, and
# a source and a sink in Python work too; their ends are seen.
# needs: all c:python3 py:msgpack py:numpy py:zmq tests/stages
set -eu
"$PYTHON" -c 'import zmq, msgpack, numpy' 2> /dev/null || {
	echo "python3-zmq, python3-msgpack or python3-numpy is missing"
	exit 77
}
facet=$PWD/$BUILD/facet
export FACET_STAGES="$PWD/$BUILD/stages:$PWD/$BUILD/tests/stages"
root=$PWD
. "$root/tests/support/wait.sh"
dir=$(mktemp -d)
run=$(run_folder)
trap 'rm -rf "$dir" "$run"' EXIT
cd "$dir"
export XDG_RUNTIME_DIR="$run"
fail() {
	echo "FAILED: $*" >&2
	[ -f err ] && tail -n 20 err >&2
	exit 1
}
command_runs() { grep -lzsq "^FACET_ENDPOINT=ipc://$run" /proc/[0-9]*/environ; }
all_gone() { none_run "$run" && ! command_runs; }
none_left() { wait_for "$1: all processes go" all_gone; }

cat > turn.yaml <<Y
version: 1
vars: {rotator: pose-rotator, out: c.tape, rx: "-20,-10,0,10,20"}
stages:
  src: {run: t-count, with: {n: 4, points: yes, bytes: 5000}}
  turn: {run: "\${rotator}", from: src, with: {rx: "\${rx}"}}
  sink: {run: t-tape, from: turn, with: {file: "\${out}"}}
Y
grid="--set turn.ry=-20,-10,0,10,20"
"$facet" run turn.yaml $grid 2> err || fail "ours"
"$facet" run turn.yaml $grid --set rotator="$PYTHON $root/examples/pose-rotator.py" \
	--set out=py.tape 2> err || fail "Python's"
[ "$("$facet" tape show py.tape | grep -c '^item')" -eq 100 ] || fail "not 100"
# Both compute in double precision; the tape holds floats of up to some 300.
"$facet" tape diff --ids --tol 1e-5 c.tape py.tape || fail "they differ"
none_left "Python stage"

# In the example's pipeline, between stages of ours.
"$facet" run "$root/examples/python-stage.yaml" --set out=sheets --set heads=1 \
	--set rotator="$PYTHON $root/examples/pose-rotator.py" > out 2> err ||
	fail "examples/python-stage.yaml"
[ "$(find sheets -name 'sheet_*.png' | wc -l)" -eq 1 ] || fail "no sheet"

# A source, a transform that fails and dies, and a sink.
cat > three.py <<'P'
import os, sys, msgpack, zmq
role = sys.argv[1]
info = {
    "source": "kind: source\nout: [{name: out, fields: 'i i64'}]",
    "fussy": "kind: transform\nin: [{name: in, fields: 'i i64'}]\n"
             "out: [{name: out, fields: 'i i64'}, {name: big, fields: 'i i64'}]",
    "sink": "kind: sink\nin: [{name: in, fields: 'i i64'}]"}
params = "\nparams: [{name: die-at, type: int, default: '-1', help: x}]"
if "--describe" in sys.argv:
    print("name: " + role + "\nhelp: A test.\n" + info[role] + params)
    sys.exit()
die = int((sys.argv[2:] or ["--die-at=-1"])[0].split("=")[1])
sock = zmq.Context().socket(zmq.PAIR)
sock.connect(os.environ["FACET_ENDPOINT"])
def send(kind, fields={}):
    sock.send(msgpack.packb({"v": 1, "kind": kind, "fields": fields}))
n = 0
while True:
    head = msgpack.unpackb(sock.recv_multipart()[0])
    i = head["fields"].get("i", n)
    if i == die:
        os._exit(5)
    if head["kind"] == "end":
        send("report", {"text": "%s saw %d" % (role, n)})
        break
    if role == "source":
        if n == 0:
            send("expect", {"items": 20})
        if n == 20:
            send("end")
            continue
        send("item", {"i": n, "facet.key": "number %d" % n})
        send("done")
    elif role == "fussy" and i % 5 == 0:
        send("fail", {"error_code": "noface", "error_text": "no fives"})
    elif role == "fussy":
        send("item", {"i": i, "facet.port": "big" if i > 9 else "out"})
        send("done")
    else:
        send("done")
    n += 1
print("printed", role)
P
cat > three.yaml <<Y
version: 1
vars: {die: -1}
dead: dead
stages:
  a: {run: "$PYTHON $dir/three.py source"}
  b: {run: "$PYTHON $dir/three.py fussy", from: a, with: {die-at: "\${die}"}}
  c: {run: "$PYTHON $dir/three.py sink", from: b}
  d: {run: t-collect, from: b.big, with: {file: lines}}
Y
got=0
"$facet" run three.yaml > out 2> err || got=$?
[ $got -eq 1 ] || fail "three: exit status $got"
grep -q '^sink saw 8$' out || fail "three: $(cat out)"
grep -q '^c: printed sink$' err || fail "what it prints is lost"
[ "$(wc -l < lines)" -eq 8 ] || fail "three: second port"
[ "$(grep -l 'error_code: noface' dead/b/*.txt | wc -l)" -eq 4 ] || fail "dead"
none_left "three"
# One that dies fails the item that it had, and is started anew.
got=0
"$facet" run three.yaml --set die=7 > out 2> err || got=$?
[ $got -eq 1 ] || fail "die: exit status $got"
grep -q "exited with status 5" dead/b/*.txt || fail "die: no letter"
grep -q '^sink saw 7$' out || fail "die: the run did not go on: $(cat out)"
none_left "die"
sed 's/^  b: {/&restart: 0, /' three.yaml > once.yaml
got=0
"$facet" run once.yaml --set die=7 > out 2> err || got=$?
[ $got -eq 3 ] || fail "die: exit status $got"
grep -q "^facet run: stage 'b': .* exited with status 5, while working on item [0-9a-f]\{32\}" err ||
	fail "die: reason"
none_left "die"

# kill -9 of the runner takes the commands under the bridges along.
sed "s/^  a: .*/  a: {run: t-count, with: {n: 1000000000}}/
s/fussy\"/sink\"/; /^  [cd]:/d" three.yaml > long.yaml
"$facet" run long.yaml > out 2> err &
runner=$!
wait_for "the command starts" command_runs
kill -9 $runner
wait $runner 2> /dev/null || true
none_left "kill -9"
