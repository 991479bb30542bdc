# facet model --to f16: the same numbers as numpy's, metadata, what it says,
# what it refuses; and that a stage runs the rounded file.
# needs: c:python3 facet py:numpy py:torch stages/head-model-sampler stages/landmark-lifter
set -eu
facet=$PWD/$BUILD/facet
root=$PWD
"$PYTHON" -c 'import numpy' 2>/dev/null || { echo "no numpy"; exit 77; }
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
export PYTHONPATH=$PWD/tests/py
cd "$dir"

fail() { echo "FAILED: $*" >&2; exit 1; }
# answers STATUS TEXT COMMAND...
answers() {
	status=$1 text=$2 got=0
	shift 2
	"$@" > said 2> error || got=$?
	[ "$got" -eq "$status" ] || { cat said error; fail "exit status $got: $*"; }
	cat said error | grep -qF -- "$text" || {
		cat said error
		fail "no '$text': $*"
	}
}

# Trained weights as a trainer writes them: f32, off f16's grid.
"$PYTHON" - "$root/models/lift-384.safetensors" <<'P'
import sys, numpy as np
from fan_torch import read_safetensors, write_safetensors
r = np.random.RandomState(3)
f = {k: (v * (1 + r.uniform(-2e-3, 2e-3, v.shape))).astype(np.float32)
     for k, v in read_safetensors(sys.argv[1]).items()}
write_safetensors("wide.safetensors", f,
                  {"model": "lift", "map": "65x41", "note": "kept as it is"})
f["in.bias"][3] = 7e4
write_safetensors("large.safetensors", f, {})
P
answers 0 "written     half.safetensors" "$facet" model wide.safetensors \
	--to f16 -o half.safetensors --keep reference
cp said told
grep -qx 'rounded     28 tensors, 1,737,949 numbers' told ||
	{ cat told; fail "what was rounded"; }
grep -qx 'kept        1 tensor' told || { cat told; fail "what was kept"; }
grep -qx 'bytes       3.5 MB, was 7.0 MB' told || { cat told; fail "bytes"; }
"$PYTHON" - <<'P' || fail "other numbers than numpy's"
import re
import numpy as np
from fan_torch import read_safetensors
a, b = read_safetensors("wide.safetensors"), read_safetensors("half.safetensors")
raw = open("half.safetensors", "rb").read()
assert list(a) == list(b)
worst = 0
for k in a:
    want = a[k] if k == "reference" else a[k].astype(np.float16)
    assert (b[k].astype(np.float32) == want.astype(np.float32)).all(), k
    big = np.abs(a[k]) >= 2.0 ** -14
    if k != "reference" and big.any():
        v = a[k][big].astype(np.float64)
        worst = max(worst, np.abs(want[big].astype(np.float64) / v - 1).max())
said = float(re.search(r"at most ([0-9.e-]+) of a number",
                       open("told").read()).group(1))
assert abs(said / worst - 1) < 0.05, (said, worst)
P
"$facet" model half.safetensors --summary > shown
for line in 'model = lift' 'note = kept as it is' 'dtype_of_training = f32'; do
	grep -q " $line\$" shown || { cat shown; fail "no '$line'"; }
done
answers 0 "rounded     0 tensors, 0 numbers" "$facet" model half.safetensors \
	--to=f16 --output=again.safetensors --keep=reference
cmp half.safetensors again.safetensors || fail "a second rounding"

# A stage reads f16 as the numbers it holds: an f32 file of these gives the same
# bytes. Weights off by 2^-11 each move points by far less than a pixel: heads
# here are some 200 pixels large.
"$PYTHON" - <<'P'
import numpy as np
from fan_torch import read_safetensors, write_safetensors
write_safetensors("same.safetensors", {
    k: v.astype(np.float32)
    for k, v in read_safetensors("half.safetensors").items()},
    {"model": "lift", "map": "65x41"})
P
"$root/$BUILD/stages/head-model-sampler" --stdio --val 0 --epoch-size 5 \
	--surface false > heads.tape
for model in wide half same; do
	"$root/$BUILD/stages/landmark-lifter" --stdio --model "$PWD/$model.safetensors" \
		< heads.tape > $model.tape
done
cmp half.tape same.tape || fail "f16 is not read as its numbers"
answers 1 "element" "$facet" tape diff wide.tape half.tape
"$facet" tape diff --tol 0.5 wide.tape half.tape || fail "rounding moves points"

# What is refused, and that nothing is left of it.
answers 3 "tensor 'in.bias' element 3 is 70000, which f16 does not hold" \
	"$facet" model large.safetensors --to f16 -o no.safetensors
answers 2 "is the file to be rounded" "$facet" model wide.safetensors \
	--to f16 -o "$dir/wide.safetensors"
answers 2 "has no tensor 'x' to keep" "$facet" model wide.safetensors \
	--to f16 -o no.safetensors --keep x
answers 2 "--to f16, and no other type" "$facet" model wide.safetensors \
	--to f32 -o no.safetensors
answers 2 "--to needs -o" "$facet" model wide.safetensors --to f16
answers 2 "belong to --to f16" "$facet" model wide.safetensors -o no.safetensors
answers 2 "look at it afterwards" "$facet" model wide.safetensors --to f16 \
	-o no.safetensors --stats
answers 2 "-o needs a value" "$facet" model wide.safetensors --to f16 -o
answers 3 "large.safetensors/x" "$facet" model wide.safetensors --to f16 \
	-o large.safetensors/x
[ ! -e no.safetensors ] || fail "a refused file was written"
[ -z "$(find . -name '.tmp-*')" ] || fail "a temporary was left"

# Metadata to set: what is there is replaced, what is not is added.
answers 0 "written     meta.safetensors" "$facet" model wide.safetensors --to f16 \
	-o meta.safetensors --meta note=other --meta min_score=0.8
answers 0 "note = other" "$facet" model meta.safetensors --summary
grep -q 'min_score = 0.8' said || fail "min_score"
grep -q 'kept as it is' said && fail "the old note"
answers 2 "--meta KEY=VALUE" "$facet" model wide.safetensors --to f16 -o x.safetensors --meta note
