# Back-pressure: a slow sink behind a stage that makes 1000 items of each one.
# However many there are, no process grows: the peak memory of a run of 100,000
# items is that of a run of 10,000.
# needs: all tests/stages
set -eu
facet=$PWD/$BUILD/facet
export FACET_STAGES="$PWD/$BUILD/tests/stages"
. "$PWD/tests/support/wait.sh"
dir=$(mktemp -d)
run=$(run_folder)
trap 'rm -rf "$dir" "$run"' EXIT
cd "$dir"
export XDG_RUNTIME_DIR="$run"
fail() { echo "FAILED: $*" >&2; cat err >&2; exit 1; }
# Freed memory that a sanitizer holds back is not growth.
export ASAN_OPTIONS="quarantine_size_mb=1:${ASAN_OPTIONS:-}"
cat > slow.yaml <<'Y'
version: 1
vars: {n: 10, last: 9999}
stages:
  src: {run: t-count, with: {n: "${n}", bytes: 20000}}
  many: {run: t-work, from: src, with: {children: 1000}}
  gate: {run: t-gate, from: many, with: {after: "${last}", held: held, go: go}}
  slow: {run: t-collect, from: gate, with: {file: lines, sleep-us: 50}}
Y

# Peak memory (KiB) of each process of a run of $1 * 1000 items, sorted by
# process: VmHWM is the kernel's own running maximum, read when all but the last
# item are through and that one is held up, so that all processes are there.
peaks() {
	rm -f lines held go
	"$facet" run slow.yaml --set n="$1" --set last=$(($1 * 1000 - 1)) > out 2> err &
	runner=$!
	# What the gate has sent on may still be on its way, but no more than the
	# windows hold: what is measured does not change any more.
	wait_for "the last item" test -e held
	for p in $(run_pids "$run") $runner; do
		awk '/^Name/ {n = $2} /^VmHWM/ {print n, $2}' "/proc/$p/status"
	done | sort
	touch go
	wait $runner || fail "status $?"
	[ "$(wc -l < lines)" -eq $(($1 * 1000)) ] || fail "lines are missing"
}
peaks 10 > few
peaks 100 > many
join few many | tee both
[ "$(wc -l < both)" -eq 5 ]
# 20 MB of room for buffers that fill in their own time; without flow control
# 100,000 items are 2 GB.
awk '$3 > $2 + 20000 {print "FAILED: " $1 " grows: " $2 " to " $3 " KiB"; bad = 1}
	END {exit bad}' both >&2
