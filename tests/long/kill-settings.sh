# Runs of changing settings into one store, each killed at some moment; after
# each the rows that are there and their files belong together, and what is
# made at last is what an undisturbed run makes. ROUNDS=n (40).
set -eu
root=$(pwd)
facet=$root/${BUILD:-build}/facet
tmp=/tmp
[ -w /dev/shm ] && tmp=/dev/shm
dir=$(mktemp -d "$tmp/facet-long-XXXXXX")
trap '[ -n "${KEEP:-}" ] || rm -rf "$dir"' EXIT
cd "$dir"
fail() { echo "FAILED: $*" >&2; exit 1; }
cat > p.yaml <<'W'
version: 1
vars: {out: s, frames: 3, format: png, seed: 1, n: 2}
stages:
  heads: {run: head-renderer, with: {heads: 6, frames: "${frames}", size: 64, samples: 1, seed: "${seed}"}, replicas: "${n}"}
  store: {run: sample-writer, from: heads, with: {root: "${out}", format: "${format}"}, replicas: "${n}"}
  sheets: {run: sheet-writer, from: heads, with: {root: "${out}", picture: frame, cells: samples, source: no, labels: none, cell: 32}}
W
# every good row's files are those of its sums: sample-reader compares them
check() {
	code=0
	"$root/${BUILD:-build}/stages/sample-reader" --stdio --root s > r.tape 2> c || code=$?
	[ $code -eq 0 ] || grep -q "no good samples" c
}
i=0
while [ $i -lt "${ROUNDS:-40}" ]; do
	case $((i % 4)) in
	0) set -- --set frames=3 ;;
	1) set -- --set frames=5 --set n=1 ;;
	2) set -- --set frames=2 --set format=jpg ;;
	3) set -- --set frames=4 --set seed=2 ;;
	esac
	"$facet" run -q p.yaml "$@" > out 2>&1 &
	pid=$!
	# into the run by so many committed rows
	want=$((i * 7 % 23)) n=0
	while [ $n -lt 3000 ] && kill -0 $pid 2>/dev/null; do
		rows=$(cat s/.facet/writer-*/journal.tsv 2>/dev/null | wc -l)
		[ "$rows" -lt $want ] || break
		n=$((n + 1))
	done
	kill -9 $pid 2>/dev/null || true
	wait $pid 2>/dev/null || true
	# the next one to open it makes good what was left
	n=0
	until "$root/${BUILD:-build}/stages/catalog" --stdio --root . --media any --pattern p.yaml \
		--done s > /dev/null 2>&1; do
		n=$((n + 1))
		[ $n -lt 100 ] || fail "round $i: the store cannot be opened"
		sleep 0.1
	done
	[ ! -d s/.facet ] || check || { cat c out; fail "round $i: rows and files disagree"; }
	i=$((i + 1))
done
"$facet" run -q p.yaml > out 2>&1 || { cat out; fail "the last run"; }
"$facet" run -q p.yaml --set out=whole > out 2>&1 || { cat out; fail "the undisturbed run"; }
diff -r -x .facet -x .sheets -x dead s whole || fail "not what an undisturbed run makes"
echo "$i rounds"
