# Sinks that have enough end a run well, when all of them have; one that breaks
# it ends it with its reason; the status line takes the place of the progress.
# needs: all tests/stages
set -eu
facet=$PWD/$BUILD/facet
. "$PWD/tests/support/wait.sh"
fail() { echo "FAILED: $*" >&2; cat err >&2; exit 1; }
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
export FACET_STAGES=$PWD/$BUILD/tests/stages
cd "$dir"
cat > p.yaml <<'Y'
version: 1
vars: {a: 20, b: 300, breaks: 0}
dead: dead
stages:
  src: {run: t-count, with: {n: 1000000000, expect: true}}
  work: {run: t-work, from: src, replicas: 2}
  one: {run: t-sated, from: work, with: {enough: "${a}", breaks: "${breaks}", word: "it's \"so\""}}
  two: {run: t-sated, from: src, with: {enough: "${b}"}}
Y
"$facet" run p.yaml > out 2> err || { cat err; exit 1; }
test "$(grep -c '^had enough' out)" = 2
grep -q '^enough: 20$' out
grep -q '^breaks: 0$' out
grep -qF 'word: "it'"'"'s \"so\""' out
# What was on its way has arrived: all four counted the same items.
awk '$1 == "src" {o = $4} $1 == "work" {i = $3} $1 == "one" {a = $3}
     $1 == "two" {b = $3}
     END {exit !(o >= 300 && i == o && a == o && b == o)}' err || {
	cat err
	exit 1
}

# One that never has enough keeps the run going: here until it breaks.
status=0
"$facet" run p.yaml --set b=1000000000 --set breaks=5000 \
	> out 2> err || status=$?
test $status = 3
grep -q "stage 'one': item 5000 was too much" err
! grep -q 'not shown' err
test ! -d dead # no item is to blame

# Stopped by a signal: what says where it stands has time to save.
cat > s.yaml <<'Y'
version: 1
stages:
  src: {run: t-count, with: {n: 1000000000}}
  sink: {run: t-sated, from: src, with: {enough: 0, save: saved}}
Y
"$facet" run s.yaml > out 2> err &
runner=$!
wait_for "it says where it stands" grep -q busy out
kill -TERM $runner
status=0
wait $runner || status=$?
test $status = 143
test "$(cat saved)" = saved

# Alone, the same: the rest of the input is left.
"$FACET_STAGES/t-count" --stdio --n 50 > t.tape
"$FACET_STAGES/t-sated" --stdio --enough 7 --word w < t.tape > out 2> err
grep -q 'had enough' out
status=0
"$FACET_STAGES/t-sated" --stdio --enough 99 --breaks 3 < t.tape \
	> out 2> err || status=$?
test $status = 3
grep -q 'item 3 was too much' err
