# facet.py: landmarks of a store; what a source gives that is no item is told,
# and takes nothing else with it.
# needs: all c:python3 py:msgpack py:numpy py:zmq
set -eu
"$PYTHON" -c '
import zmq, msgpack, numpy' 2> /dev/null || {
	echo "python3-zmq, python3-msgpack or python3-numpy is missing"
	exit 77
}
root=$PWD
facet=$root/$BUILD/facet
export FACET_STAGES="$root/$BUILD/stages" PYTHONPATH="$root/python"
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
fail() { echo "FAILED: $*" >&2; [ -f err ] && tail -n 20 err >&2; exit 1; }

# ---- landmarks as sample-writer writes them, with scores and without
cat > marks.py <<'P'
import numpy as np
import facet

@facet.stage(gives="name str, snippet str, landmarks f32[68,3], scores f32[68]?")
def marks():
    for k in range(2):
        item = {"name": "a", "snippet": "s%d" % k, "landmarks": np.arange(204, dtype="f4").reshape(68, 3)}
        yield {**item, "scores": np.full(68, .25, "f4")} if k == 0 else item

facet.main()
P
cat > marks.yaml <<Y
version: 1
stages:
  marks: {run: "$PYTHON marks.py"}
  store: {run: sample-writer, from: marks, with: {root: o}}
Y
"$facet" run -q marks.yaml > out 2> err || fail "marks.yaml"
"$PYTHON" - <<'P' 2> err || fail "landmarks of a store"
import facet
import numpy as np
a, b = (s["landmarks"] for s in facet.Store("o"))
want = np.arange(204, dtype="f4").reshape(68, 3)
for x in a, b:
    assert x.dtype == np.float32 and x.shape == (68, 4) and (x[:, :3] == want).all(), x
assert (a[:, 3] == .25).all() and np.isnan(b[:, 3]).all()
P

# ---- a source that gives None once: an error, not the end of the run
cat > none.py <<'P'
import facet

@facet.stage(gives="i i64")
def none(at: int = 2):
    for i in range(4):
        yield None if i == at else {"i": i}

facet.main()
P
cat > count.py <<'P'
import facet

@facet.stage(takes="i i64")
def count(item):
    facet.report("got %d" % item["i"])

facet.main()
P
cat > none.yaml <<Y
version: 1
vars: {at: 2}
stages:
  src: {run: "$PYTHON none.py", with: {at: "\${at}"}}
  sink: {run: "$PYTHON count.py", from: src}
Y
code=0
"$facet" run -q none.yaml > out 2> err || code=$?
[ $code -eq 3 ] || fail "None of a source: exit $code, not 3"
grep -q "TypeError: it gave nothing" err || fail "None of a source: reason"
"$facet" run -q none.yaml --set at=9 > out 2> err || fail "no None"
[ "$(grep -c '^got' out)" -eq 4 ] || fail "no None: not all"
code=0
"$PYTHON" none.py --stdio > n.tape 2> err || code=$?
[ $code -ne 0 ] || fail "--stdio: None of a source is taken"

# ---- what a source sets aside is no item with --stdio either
cat > aside.py <<'P'
import facet

@facet.stage(gives="i i64")
def aside():
    yield {"i": 1}
    yield facet.failed({"i": 2}, "it is torn", "io")
    yield {"i": 3}

facet.main()
P
code=0
"$PYTHON" aside.py --stdio > a.tape 2> err || code=$?
[ $code -eq 1 ] || fail "--stdio, failed(): exit $code, not 1"
grep -q "it is torn" err || fail "--stdio, failed(): reason"
[ "$("$facet" tape show a.tape | grep -c '^item')" -eq 2 ] || fail "--stdio, failed(): items"
