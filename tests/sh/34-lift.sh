# Heads for training: the stream, a linear head from a file, what is refused;
# and the lifting network trained on them, small.
# needs: all tests/stages
set -eu
facet=$(pwd)/$BUILD/facet
. "$(pwd)/tests/support/field.sh"
sampler=$(pwd)/$BUILD/stages/head-model-sampler
trainer=$(pwd)/$BUILD/stages/lift-trainer
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
fail() { echo "FAILED: $*" >&2; exit 1; }
values() { field "$1" "$2" | tr -d '"' | tr '\n' ' ' | sed 's/ $//'; }

# The stream: validation first, then epochs of new heads; the same bytes again;
# resumed, what was trained on is left out.
"$sampler" --stdio --val 3 --epoch-size 4 --epochs 2 > "$dir/a.tape"
[ "$(values "$dir/a.tape" sample)" = "0 1 2 3 4 5 6 7 8 9 10" ] || fail positions
[ "$(values "$dir/a.tape" epoch)" = "-1 -1 -1 0 0 0 0 1 1 1 1" ] || fail epochs
[ "$(values "$dir/a.tape" role | tr ' ' '\n' | sort | uniq -c | tr -s ' \n' ' ')" = " 8 train 3 val " ] || fail roles
"$sampler" --stdio --val 3 --epoch-size 4 --epochs 2 | cmp - "$dir/a.tape" || fail "not the same bytes"
[ "$(values "$dir/a.tape" yaw_true | tr ' ' '\n' | sort -u | wc -l)" -eq 11 ] || fail "heads come twice"
mkdir "$dir/at"; echo 7 > "$dir/at/position"
"$sampler" --stdio --val 3 --epoch-size 4 --epochs 2 --resume "$dir/at" > "$dir/b.tape"
[ "$(values "$dir/b.tape" sample)" = "0 1 2 7 8 9 10" ] || fail resume
echo 99 > "$dir/at/position"
"$sampler" --stdio --val 3 --epoch-size 4 --resume "$dir/at" > "$dir/b.tape"
[ "$(values "$dir/b.tape" sample)" = "0 1 2" ] || fail "resume after the end"

# A linear head from a file, in other axes and units: the own head, which comes
# to be the same heads. f32 and a fitted similarity: 1e-3 px of 20 to 200.
"$BUILD/tests/stages/own-head-file" "$dir/head.safetensors"
"$sampler" --stdio --model "$dir/head.safetensors" --val 0 --epoch-size 20 --surface false > "$dir/f.tape"
"$sampler" --stdio --model own --val 0 --epoch-size 20 --surface false > "$dir/o.tape"
"$facet" tape diff --tol 1e-3 "$dir/f.tape" "$dir/o.tape" || fail "a file's head is not the own one"

# Refused, with the reason.
refuse() {
	want=$1; shift
	if "$sampler" --stdio "$@" > /dev/null 2> "$dir/e"; then fail "$* was taken"; fi
	grep -q "$want" "$dir/e" || { cat "$dir/e" >&2; fail "'$want' expected of $*"; }
}
refuse "no such file\|No such file" --model "$dir/none.safetensors"
"$BUILD/tests/stages/own-head-file" "$dir/broken.safetensors" broken
refuse "triangle 10 has vertex" --model "$dir/broken.safetensors"
head -c 1000 "$dir/head.safetensors" > "$dir/cut.safetensors"
refuse "cut.safetensors" --model "$dir/cut.safetensors"
refuse "no tensor 'mean'" --model "$(pwd)/models/fan1-128.safetensors"
echo x > "$dir/at/position"
refuse position --resume "$dir/at"

# A small network learns: yaw of heads that it has not seen, far better than
# the 37 degrees of always saying 0. Two samplers give what one gives.
train() {
	"$facet" run --quiet pipelines/train-lifter.yaml --set epochs=8 --set heads=1536 --set val=128 \
		--set batch=64 --set width=64 --set blocks=1 --set codes=12 "$@" > "$dir/log" 2>&1 ||
		{ cat "$dir/log" >&2; fail training; }
}
train --set out="$dir/run"
mae=$(sed -n 's/^.*yaw MAE of the last validation \([0-9.]*\) deg$/\1/p' "$dir/log")
awk -v x="$mae" 'BEGIN {exit !(x > 0 && x < 16)}' || { cat "$dir/log" >&2; fail "yaw MAE '$mae'"; }
for f in model.safetensors epochs.csv model.md config.yaml; do
	[ -s "$dir/run/$f" ] || fail "no $f"
done
train --set out="$dir/two" --set samplers=2
# All but the seconds.
cut -d, -f1-7 "$dir/run/epochs.csv" > "$dir/e1"
cut -d, -f1-7 "$dir/two/epochs.csv" > "$dir/e2"
diff "$dir/e1" "$dir/e2" || fail "two samplers train another network"

# In whatever order samples come, held-back ones among them, and if some come
# twice: the same weights, bit for bit.
"$sampler" --stdio --val 90 --epoch-size 160 --epochs 1 > "$dir/straight.tape"
part() { "$facet" tape cat --skip "$1" -n "$2" "$dir/straight.tape"; }
part 0 60 > "$dir/1"; part 60 30 > "$dir/2"; part 90 100 > "$dir/3"; part 190 60 > "$dir/4"
"$facet" tape cat "$dir/2" "$dir/2" "$dir/4" "$dir/1" "$dir/3" > "$dir/turned.tape"
for t in straight turned; do
	mkdir "$dir/$t"
	(cd "$dir/$t" && FACET_THREADS=1 "$trainer" --stdio --out run --epochs 1 --batch 16 --width 16 \
		--blocks 1 --codes 12 < "$dir/$t.tape" > "$dir/log" 2>&1) ||
		{ cat "$dir/log" >&2; fail "$t"; }
done
cmp "$dir/straight/run/model.safetensors" "$dir/turned/run/model.safetensors" ||
	fail "samples in another order train another network"

# An epoch that ends in the middle of a batch: what was put before the
# validation is still there after it. Going on from there puts it again.
"$sampler" --stdio --val 20 --epoch-size 36 --epochs 2 > "$dir/straight.tape"
"$facet" tape cat -n 56 "$dir/straight.tape" > "$dir/cut.tape"
lift() { # TAPE FOLDER
	mkdir -p "$dir/$2"
	(cd "$dir/$2" && FACET_THREADS=1 "$trainer" --stdio --out run --epochs 2 --batch 16 \
		--width 16 --blocks 1 --codes 12 < "$dir/$1.tape" > "$dir/log" 2>&1) ||
		{ cat "$dir/log" >&2; fail "$1"; }
}
lift straight odd
lift cut again
lift straight again
grep -q 'going on after epoch 1, step 2' "$dir/log" || { cat "$dir/log" >&2; fail "not gone on"; }
cmp "$dir/odd/run/model.safetensors" "$dir/again/run/model.safetensors" ||
	fail "going on in the middle of a batch trains another network"
echo "ok, yaw MAE $mae deg after a few seconds"
