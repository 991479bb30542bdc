# What docs/python.md shows is run as it stands there; so are the examples.
# needs: all c:python3 py:msgpack py:numpy py:torch py:zmq tests/stages
set -eu
modules='import zmq, msgpack, numpy'
. "$PWD/tests/support/foreign.sh"
# The n-th block of a language.
block() {
	awk -v lang="$1" -v n="$2" '$0 == "```" lang {k++; on = k == n; next} /^```/ {on = 0} on' "$root/docs/python.md"
}
block python 1 > invert.py
chmod +x invert.py
sed -i "1s|.*|#!$PYTHON|" invert.py # the interpreter of this test
block yaml 1 > invert.yaml
block python 2 > average.py
block python 3 > ramps.py
block python 4 > read.py
block python 5 > torch_read.py
[ -s torch_read.py ] || fail "blocks are missing"
"$facet" run invert.yaml > reports 2> err || fail "invert.yaml"
[ "$(find out/inverted -name 'frame_*.jpg' 2> /dev/null | wc -l)" -eq 2 ] || fail "pictures"
"$facet" run invert.yaml --set out=other --set invert.amount=2 > reports 2> err && fail "amount: 2"
grep -q "amount" err || fail "amount: 2"
cat > more.yaml <<Y
version: 1
dead: dead
stages:
  ramps: {run: "$PYTHON ramps.py", with: {count: 8}, replicas: 2}
  invert: {run: ./invert.py, from: ramps}
  mean: {run: "$PYTHON average.py", from: invert}
  sink: {run: t-tape, from: invert, with: {file: out.tape}}
Y
got=0
"$facet" run more.yaml > reports 2> err || got=$?
[ $got -eq 1 ] || fail "more.yaml: exit status $got"
grep -q '^mean of 7 pictures: 216.429$' reports || fail "$(cat reports)"
grep -q 'error_text: ones are not to be had' dead/ramps/*.txt || fail "set aside"
"$facet" tape cat out.tape > /dev/null || fail "tape"
"$facet" run invert.yaml > /dev/null 2> err || fail "invert.yaml again"
PYTHONPATH=$root/python "$PYTHON" read.py > printed 2> err || fail "read.py"
grep -q '^7 (16, 16, 3)$' printed || fail "$(cat printed)"
grep -q '^head0000. uint8$' printed || fail "$(cat printed)"
[ "$("$facet" tape show half.tape | grep -c '^item')" -eq 4 ] || fail "half.tape"
if "$PYTHON" -c '
import torch' 2> /dev/null; then
	PYTHONPATH=$root/python "$PYTHON" torch_read.py > printed 2> err || fail "torch"
	grep -q '^torch.Size(\[2, 16, 16, 3\]) torch.float64$' printed || fail "$(cat printed)"
fi
# --stdio, and a plain call.
"$facet" tape cat out.tape | PYTHONPATH=$root/python ./invert.py --stdio > again.tape 2> err || fail "--stdio"
[ "$("$facet" tape show again.tape | grep -c '^item')" -eq 7 ] || fail "--stdio"
"$facet" run "$root/examples/blur.yaml" --set blur="$PYTHON $root/examples/blur.py" > printed 2> err || fail "blur.yaml"
[ "$(find out/blur -name 'frame_*.jpg' | wc -l)" -eq 2 ] || fail "blur.yaml"
# The blur is the mean of its squares, also at the edges.
PYTHONPATH=$root/python:$root/examples "$PYTHON" - <<'P' 2> err || fail "blur"
import blur
import numpy as np
f = np.random.default_rng(1).integers(0, 256, (20, 31, 3), "u1")
got = blur.blur({"frame": f}, radius=3)["frame"]
p = np.pad(f.astype(float), [(3, 3), (3, 3), (0, 0)], "edge")
want = sum(p[i:i + 20, k:k + 31] for i in range(7) for k in range(7)) / 49
assert got.shape == f.shape and np.abs(got - want).max() <= 0.5 + 1e-9
P
