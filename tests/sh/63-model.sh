# facet model: every network at its published size against what PyTorch counts,
# the numbers of --stats against numpy, both ways of showing, what is refused,
# and files that lie.
# needs: c:python3 facet py:numpy py:torch
set -eu
facet=$PWD/$BUILD/facet
root=$PWD
script=$PWD/tests/py/model_files.py
"$PYTHON" -c 'import torch, numpy' 2>/dev/null || { echo "no torch"; exit 77; }
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
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
	[ "$got" -eq 0 ] || [ ! -s said ] || fail "a failure and an answer: $*"
}
json() { # json NAME SIZE ARGUMENT...: what is said, against want.json
	name=$1 size=$2
	shift 2
	"$facet" model "$@" --json > said.json || fail "facet model $*"
	"$PYTHON" "$script" check t "$name" said.json "$size" || fail "$name: $*"
}

mkdir t
"$PYTHON" "$script" make t

# The networks of lib/models/models.c, all of them.
n=0
for f in fan-4 depth s3fd generator unet patch-gan discriminator resnet-18 \
	resnet-34 resnet-50 vgg-19 face-detector lift; do
	json $f "" t/$f.safetensors
	n=$((n + 1))
done
known=$(sed -n '/^} table\[\] = {/,/^};/s/^    {{"\([a-z0-9-]*\)",$/\1/p' \
	"$root/lib/models/models.c" | wc -l)
[ "$n" -eq "$known" ] || fail "$n networks of $known"
json generator 128x128 t/generator.safetensors --input 128x128
json patch-gan 320x320 t/patch-gan.safetensors --input 3x320x320
json patch-gan 128x128 t/patch-gan.safetensors --input 128x128 --layers

# For a person.
answers 0 "network     fan" "$facet" model t/fan-4.safetensors --summary
for line in 'format      safetensors, 95.* MB' 'hash        [0-9a-f]\{32\}' \
	'tensors     [0-9]*, 95.* MB' 'parameters  23,820,176' \
	'buffers     54,328 (statistics and counters)' \
	'input       3x256x256' 'compute     50.47 GFLOP' \
	'memory      [0-9.]* MB to run it, [0-9.]* MB of it between layers'; do
	grep -qx "$line" said || { cat said; fail "no line '$line'"; }
done
! grep -q conv1.weight said || fail "a table in the summary"
answers 0 "compute     26.29 GFLOP" "$facet" model t/generator.safetensors \
	--input=128x128
grep -q '^  model.1.weight  *f32  *64x6x7x7  *18,816$' said ||
	{ head -n 20 said; fail "no row of the table"; }
awk 'length > 80 {exit 1}' said || fail "wide lines"
answers 0 "patch-gan" "$facet" model t/patch-gan.safetensors --layers \
	--input 64x64
grep -q '^[0-9]* *conv  *3x64x64  *64x32x32 ' said ||
	{ cat said; fail "no step"; }
grep -q '^total .* GFLOP' said || fail "no total"
got=$("$facet" model "$root/models/fan1-128.safetensors" --summary |
	sed -n 's/^hash  *//p')
if command -v xxhsum > /dev/null; then
	[ "$got" = "$(xxhsum -H2 "$root/models/fan1-128.safetensors" |
		cut -d' ' -f1)" ] || fail "hash $got"
fi

# PyTorch's files: what import-torch would take, of both networks in it.
for f in zip old; do
	json checkpoint "" t/$f.pt
	json checkpoint all t/$f.pt --all
	answers 0 "left out    optimizer_g: " "$facet" model t/$f.pt --summary
	grep -qx "prefix      'module.' taken off" said || fail "no prefix"
	grep -qx 'network     global-generator, under generator.' said ||
		{ cat said; fail "no generator"; }
	grep -qx 'network     discriminator, under discriminator.' said ||
		fail "no discriminator"
	answers 0 "network     discriminator" "$facet" model t/$f.pt --summary \
		--key discriminator
	! grep -q generator. said || fail "more than --key"
	grep -qx 'taken       discriminator' said || fail "not said where"
	answers 0 "training  " "$facet" model t/$f.pt --summary --all
done
grep -q '^format      PyTorch legacy, ' said || { cat said; fail "no format"; }
answers 0 "training    18 (optimiser state, averages)" "$facet" model \
	t/checkpoint.safetensors
grep -qx 'parameters  6' said || { cat said; fail "parameters"; }
grep -qx 'network     none that facet knows' said || fail "a network"
answers 0 "fc.0.weight" "$facet" model t/attack.pt
[ ! -e t/was-run ] || fail "the attack ran"
answers 0 "left out    z: its type is complex64" "$facet" model t/complex.pt
answers 0 "format      TorchScript" "$facet" model t/script.pt

# Numbers against numpy; names that would take a terminal over.
json odd "" t/odd.safetensors --stats
answers 0 "deviation" "$facet" model t/odd.safetensors --stats
grep -q '^  holes  *-4  *1  *-1.5  *2.5  2 NaN  2 inf$' said ||
	{ cat said; fail "no row of statistics"; }
for row in '^  none  *no finite number  1 NaN  1 inf$' '^  empty  *empty$' \
	'^  flag  *a type that is not read$'; do
	grep -q "$row" said || { cat said; fail "no row '$row'"; }
done
grep -qx 'metadata    note = x = y' said || fail "no metadata"
json names "" t/names.safetensors
answers 0 'a?[31mred' "$facet" model t/names.safetensors
cp said both
"$facet" model t/names.safetensors --stats >> both
"$PYTHON" -c '
import sys, unicodedata
s = open("both", encoding="utf-8").read()
bad = [c for c in s if unicodedata.category(c) == "Cc" and c != "\n"]
sys.exit(f"control characters {bad}" if bad else 0)' || fail "characters"
grep -q 'caf.*  f32' said || fail "no café"
"$PYTHON" - <<'P'
import json
text = json.dumps({"x\x1b[2J": {"dtype": "F99", "shape": [], "data_offsets": [0, 0]}})
open("esc.safetensors", "wb").write(len(text).to_bytes(8, "little") + text.encode())
text = text.replace("\\u001b", "\x1b")
open("raw.safetensors", "wb").write(len(text).to_bytes(8, "little") + text.encode())
P
answers 3 "tensor 'x?[2J': unknown dtype 'F99'" "$facet" model esc.safetensors
answers 3 "JSON" "$facet" model raw.safetensors

# What is refused.
answers 2 "no FILE" "$facet" model
answers 2 "one FILE, please" "$facet" model a b
answers 2 "did you mean '--layers'" "$facet" model t/zip.pt --layrs
answers 2 "--key or --all, not both" "$facet" model t/zip.pt --key a --all
answers 2 "choose from PyTorch files" "$facet" model t/odd.safetensors --all
for shape in 256 0x5 axb 1x2x3x4 3x 99999x1 -1x5 "" 5x5x; do
	answers 2 "--input needs HxW" "$facet" model t/patch-gan.safetensors \
		--input "$shape"
done
answers 2 "its input has 3 channels, not 6" "$facet" model \
	t/patch-gan.safetensors --input 6x64x64 --layers
answers 3 "holds no network that is known" "$facet" model t/odd.safetensors \
	--layers
answers 2 "'t/patch-gan.safetensors' as patch-gan: network: node 1" "$facet" \
	model t/patch-gan.safetensors --input 1x1
answers 3 "there is no 'ema'" "$facet" model t/zip.pt --key ema
answers 3 "cannot open 'none.pt'" "$facet" model none.pt
answers 3 "cannot open 'none.safetensors'" "$facet" model none.safetensors
answers 3 "is a folder" "$facet" model t
answers 0 "usage: facet model" "$facet" model --help
got=0
"$facet" model t/odd.safetensors > /dev/full 2> error || got=$?
[ "$got" -eq 3 ] || fail "a full disk was not noticed"

# Files that lie.
: > empty.pt
: > empty.safetensors
answers 3 "'empty.pt': the file is empty" "$facet" model empty.pt
answers 3 "no safetensors file: 0 bytes" "$facet" model empty.safetensors
answers 3 "no PyTorch file" "$facet" model "$script"
size=$(wc -c < t/odd.safetensors)
head -c $((size - 1)) t/odd.safetensors > cut.safetensors
answers 3 "'cut.safetensors'" "$facet" model cut.safetensors
head -c 100 t/odd.safetensors > cut.safetensors
answers 3 "no safetensors file: a header of" "$facet" model cut.safetensors
answers 0 "network     none that facet knows" "$facet" model t/sizes.safetensors
"$PYTHON" "$script" mutate t 1 "$facet" || fail "mutants"
