# What each script uses is in its line "# needs:", and `ONLY=.. make check`
# installs and builds no more than that.
# needs: c:python3
set -eu
"$PYTHON" tests/py/needs.py

# The check itself, on a tree in which everything is wrong.
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
mkdir -p "$dir/tests/sh" "$dir/tests/py"
echo 'im''port numpy as np' > "$dir/tests/py/deep.py"
echo 'import deep' > "$dir/tests/py/reads.py"
cat > "$dir/tests/sh/10-none.sh" <<'S'
true
S
sed 's/f@/ff/; s/@/$/' > "$dir/tests/sh/20-bad.sh" <<'S'
# needs: facet py:torch
f@mpeg -v error -i x.mp4 "$dir/y.mp4"
"$PYTHON" tests/py/reads.py
"@BUILD/facet" tape
"@BUILD/stages/landmarker" --stdio
S
sed 's/f@/ff/; s/@/$/' > "$dir/tests/sh/30-good.sh" <<'S'
# needs: all c:f@mpeg
f@mpeg -v error -i x.mp4 "$dir/y.mp4"
"@BUILD/stages/landmarker" --stdio
S
if "$PYTHON" tests/py/needs.py "$dir" > "$dir/out"; then
	echo "the check finds nothing in a bad tree" >&2
	exit 1
fi
sed s/f@/ff/ > "$dir/want" <<'W'
tests/sh/10-none.sh: 0 lines '# needs:'
tests/sh/20-bad.sh: uses c:f@mpeg
tests/sh/20-bad.sh: uses c:python3
tests/sh/20-bad.sh: uses py:numpy
tests/sh/20-bad.sh: uses stages/landmarker
tests/sh/20-bad.sh: does not use py:torch
3 scripts, 6 breaches
W
diff "$dir/want" "$dir/out"

# What is chosen: goals and packages.
got=$(ONLY=10-tape SKIP='' BUILD=b scripts/needs.sh goals)
[ "$got" = b/facet ] || { echo "10-tape is made from: $got"; exit 1; }
got=$(ONLY=test_wire.refuse SKIP='' BUILD=b scripts/needs.sh goals)
[ "$got" = b/tests/test_wire_refuse ] || { echo "made from: $got"; exit 1; }
got=$(ONLY=10-tape SKIP='' BUILD=b scripts/needs.sh packages | tr '\n' ' ')
[ "$got" = "c:python3 py:numpy " ] || { echo "10-tape asks for: $got"; exit 1; }
if ONLY= SKIP='' scripts/needs.sh packages | grep -vxE "$(
	sed -nE 's/^((py|c|pc):[a-z0-9]+):.*/\1/p' scripts/deps.sh | tr '\n' '|'
)none"; then
	echo "scripts/deps.sh does not know these"
	exit 1
fi
