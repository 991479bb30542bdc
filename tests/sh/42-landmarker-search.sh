# The landmarker's search: rendered heads in wide, tall and large frames are
# found where they are, from the frame alone; the cap on looks holds.
# needs: facet stages/head-renderer stages/landmarker
set -eu
facet=$(pwd)/$BUILD/facet
. "$(pwd)/tests/support/field.sh"
render=$(pwd)/$BUILD/stages/head-renderer
find=$(pwd)/$BUILD/stages/landmarker
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"

fail() { echo "FAILED: $*" >&2; exit 1; }
# place NAME LIMIT HEADS RENDERER-OPTIONS: each head is found, and its points
# lie within LIMIT % (of the distance of the outer eye corners) of the truth;
# the network is about 4 % off on rendered heads, a wrong place 50 % and more.
place() {
	name=$1 limit=$2 heads=$3
	shift 3
	"$render" --stdio --heads "$heads" --frames 1 --samples 1 "$@" > "$name.in"
	"$find" --stdio < "$name.in" > "$name.out" 2> "$name.log" ||
		{ cat "$name.log"; fail "$name"; }
	field "$name.out" landmarks > "$name.have"
	field "$name.out" landmarks_true > "$name.want"
	paste "$name.have" "$name.want" | awk -v name="$name" -v limit="$limit" \
		-v heads="$heads" '
		{i = (NR - 1) % 68
		 d += sqrt(($1 - $4) ^ 2 + ($2 - $5) ^ 2) / 68
		 if (i == 36) {x = $4; y = $5}
		 if (i == 45) eyes = sqrt((x - $4) ^ 2 + (y - $5) ^ 2)
		 if (i == 67) {
			e = 100 * d / eyes; d = 0; n++
			printf "%s head %d: %.1f %%\n", name, n, e
			if (!(e < limit)) bad = 1
		 }}
		END {exit bad || n != heads}' || fail "$name"
}

place whole 10 3 --size 256 --fill 0.5 --yaw 10
place wide 10 3 --size 640x360 --fill 0.5 --yaw 10 --jitter 1
place tall 10 2 --size 240x480 --fill 0.25 --yaw 10
place small 12 2 --size 800x600 --fill 0.1 --yaw 10 --jitter 1 --back plain

# A frame's result depends on the frame alone.
"$facet" tape cat --skip 2 -o last.in wide.in
"$find" --stdio < last.in > last.out
field last.out landmarks > last.have
tail -n 68 wide.have | cmp - last.have || fail "the frame before matters"

# An easy face needs no more than a look and its refinement.
"$find" --stdio --max-looks 2 < whole.in > few.out 2> few.log
field few.out landmarks | cmp - whole.have || fail "an easy face took more looks"
"$find" --stdio --max-looks 0 < whole.in > /dev/null 2> few.log && fail "no looks"
grep -q max-looks few.log || fail "no looks: $(cat few.log)"
