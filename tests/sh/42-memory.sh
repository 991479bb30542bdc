# Back-pressure: a slow sink behind a stage that makes 1000 items of each one.
# However many there are, no process grows: the peak memory of a run of 100,000
# items is that of a run of 10,000.
# needs: all tests/stages
set -eu
facet=$PWD/$BUILD/facet
export FACET_STAGES="$PWD/$BUILD/tests/stages"
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
mkdir run
export XDG_RUNTIME_DIR="$dir/run"
# Freed memory that a sanitizer holds back is not growth.
export ASAN_OPTIONS="quarantine_size_mb=1:${ASAN_OPTIONS:-}"
cat > slow.yaml <<'Y'
version: 1
vars: {n: 10}
stages:
  src: {run: t-count, with: {n: "${n}", bytes: 20000}}
  many: {run: t-work, from: src, with: {children: 1000}}
  slow: {run: t-collect, from: many, with: {file: lines, sleep-us: 50}}
Y

# Peak memory (KiB) of each process of a run of $1 items, sorted by process.
peaks() {
	rm -f lines hwm
	"$facet" run slow.yaml --set n="$1" > out 2> err &
	runner=$!
	# VmHWM is the kernel's own running maximum; the last look counts.
	while kill -0 $runner 2> /dev/null; do
		for p in $(grep -lzs "^FACET_DIR=$dir/run" /proc/[0-9]*/environ |
			cut -d/ -f3) $runner; do
			awk -v p="$p" '/^Name/ {n = $2} /^VmHWM/ {print n, $2}' \
				"/proc/$p/status" 2> /dev/null >> hwm || true
		done
		sleep 0.05
	done
	wait $runner || { cat err >&2; exit 1; }
	[ "$(wc -l < lines)" -eq $(($1 * 1000)) ] || { cat err >&2; exit 1; }
	awk '$2 > m[$1] {m[$1] = $2} END {for (n in m) print n, m[n]}' hwm | sort
}
peaks 10 > few
peaks 100 > many
join few many | tee both
[ "$(wc -l < both)" -eq 4 ]
# 20 MB of room for buffers that fill in their own time; without flow control
# 100,000 items are 2 GB.
awk '$3 > $2 + 20000 {print "FAILED: " $1 " grows: " $2 " to " $3 " KiB"; bad = 1}
	END {exit bad}' both >&2
