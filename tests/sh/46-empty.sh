# A source that emits nothing, through chains, replicas and a diamond, several
# runs at once: all of them end (tests/tools/run-test bounds it).
# needs: all tests/stages
set -eu
facet=$PWD/$BUILD/facet
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
export FACET_STAGES=$PWD/$BUILD/tests/stages
cd "$dir"

cat > chain.yaml <<'Y'
version: 1
stages:
  src: {run: t-count, with: {n: 0}}
  a: {run: t-work, from: src, replicas: 2}
  b: {run: t-work, from: a}
  c: {run: t-work, from: b}
  sink: {run: t-collect, from: c, with: {file: /dev/null}}
Y
cat > diamond.yaml <<'Y'
version: 1
stages:
  src: {run: t-count, with: {n: 0}}
  a: {run: t-work, from: src}
  b: {run: t-work, from: src}
  sink: {run: t-collect, from: [a, b, a.failed], with: {file: /dev/null}}
Y
loop() {
	for i in 1 2 3 4 5 6; do
		for f in chain diamond; do
			"$facet" run -q $f.yaml > log.$1 2>&1 || {
				echo "$f.yaml: status $?"
				cat log.$1
				return 1
			}
		done
	done
}
pids=
for k in 1 2 3 4; do
	loop $k > out.$k 2>&1 &
	pids="$pids $!"
done
rc=0
for p in $pids; do wait $p || rc=1; done
cat out.*
exit $rc
