# How runs end that do not end well: crashes, silence, signals, kill -9 of the
# runner; and that no process and no folder is left.
# needs: all tests/stages
set -eu
facet=$PWD/$BUILD/facet
stages=$PWD/$BUILD/tests/stages
. "$PWD/tests/support/wait.sh"
dir=$(mktemp -d)
run=$(run_folder)
trap 'rm -rf "$dir" "$run"' EXIT
cd "$dir"
mkdir mine
export XDG_RUNTIME_DIR="$run"
export FACET_STAGES="$stages:$dir/mine"

fail() {
	echo "FAILED: $*" >&2
	[ -f err ] && tail -n 20 err >&2
	exit 1
}
none_left() { wait_for "$1: all processes go" none_run "$run"; }
run() {
	want=$1 name=$2
	shift 2
	rm -f lines
	got=0
	"$facet" run "$name.yaml" "$@" > out 2> err || got=$?
	[ "$got" -eq "$want" ] || fail "$name $*: exit status $got, wanted $want"
	none_left "$name $*"
	[ -z "$(ls "$run")" ] || fail "$name $*: the run's folder stays"
}

cat > chain.yaml <<'Y'
version: 1
vars: {n: 1000000000, crash: -1, leave: -1, fail-open: no, sleep: 0}
stages:
  src: {run: t-count, with: {n: "${n}"}}
  work:
    run: t-work
    from: src
    replicas: 2
    with: {crash-at: "${crash}", exit-at: "${leave}",
           fail-open: "${fail-open}", sleep-ms: "${sleep}"}
  sink: {run: t-collect, from: work, with: {file: lines}}
Y

# A crash names the stage, the replica, the signal and the item.
run 3 chain --set crash=500
id=$("$stages/t-count" --stdio --n 501 --instance src |
	"$facet" tape cat --skip 500 - | "$facet" tape show - |
	awk '$1 == "item" {print $3}')
grep -q "stage 'work' (replica [01], process [0-9]*) was killed by signal 6 \
(.*) while working on item .*$id" err || fail "crash: no clear reason"
[ "$(grep -c '^facet run: ' err)" -eq 1 ] || fail "crash: more than one reason"
run 3 chain --set leave=500
grep -q "stage 'work'.* exited with status 7 while working on item" err ||
	fail "exit: no clear reason"

# A stage that cannot open: its own words, and nothing has run.
run 3 chain --set fail-open=yes
grep -q "^facet run: stage 'work.[01]': cannot open 'weights.bin'" err ||
	fail "open: no clear reason"
[ ! -s lines ] || fail "open: items ran"

# Its work is done, but it crashes or hangs in its close(): the run goes on to
# its end and says so.
sed 's/vars: {/&close: 0, crash-close: no, /
s/"${sleep}"}/"${sleep}", close-ms: "${close}", crash-close: "${crash-close}"}/
' chain.yaml > close.yaml
run 3 close --set n=100 --set crash-close=yes
[ "$(wc -l < lines)" -eq 100 ] || fail "crash in close: items are missing"
grep -q "stage 'work.[01]' .* had finished its work, then was killed by sig" \
	err || fail "crash in close: not told"
run 3 close --set n=100 --set close=600000 --exit-timeout 1
[ "$(wc -l < lines)" -eq 100 ] || fail "hang in close: items are missing"
grep -q "had finished its work, then did not exit within 1 s: killed" err ||
	fail "hang in close: not told"
grep -q '^sink .* 100 ' err || fail "hang in close: no table"

# A program that never answers, one that cannot be started.
cat > mine/mute <<'S'
#!/bin/sh
case "$*" in
*--describe*) sed 's/^name: .*/name: mute/' "$(dirname "$0")/../t-count.describe" ;;
*) exec sleep 100000 ;;
esac
S
chmod +x mine/mute
"$stages/t-count" --describe > t-count.describe
# The first of all that do not answer is named: it is the first one here, so
# that a busy machine names no other.
sed 's/run: t-count/run: mute/' chain.yaml > mute.yaml
run 3 mute --start-timeout 1
grep -q "stage 'src' (mute) was started but did not answer within 1 s" err ||
	fail "mute: no clear reason"
# It talks, then dies before it says hello.
sed -i 's/exec sleep 100000/echo about to die >\&2; exit 9/' mine/mute
run 3 mute
grep -q "^src: about to die" err || fail "its last words are lost"
grep -q "stage 'src' .* exited with status 9" err || fail "early exit"

# Signals: status 128 + signal, nothing left.
started() { [ "$(run_pids "$run" | wc -l)" -eq 4 ] && [ -e lines ]; }
start() { # start NAME [argument...]: until it is under way
	name=$1
	shift
	rm -f lines
	env --default-signal=INT "$facet" run "$name.yaml" "$@" > out 2> err &
	runner=$!
	wait_for "the run starts" started
}
for s in INT TERM; do
	start chain
	wait_for "items come through" test -s lines
	kill -$s $runner
	got=0
	wait $runner || got=$?
	want=143
	[ $s = INT ] && want=130
	[ "$got" -eq "$want" ] || fail "SIG$s: status $got, wanted $want"
	none_left "SIG$s"
	grep -q '^stopping' err || fail "SIG$s: says nothing"
	[ -z "$(ls "$run")" ] || fail "SIG$s: the run's folder stays"
done
# A stage in a long transform does not hold the stop up for ever, and a second
# signal does not wait for it.
sed 's/"${sleep}"}/"${sleep}", note: entered}/' chain.yaml > long.yaml
for again in no yes; do
	rm -f entered
	start long --set sleep=600000
	wait_for "the transform is entered" test -e entered
	kill -INT $runner
	if [ $again = yes ]; then
		wait_for "the runner hears the first" grep -q '^stopping' err
		kill -INT $runner 2> /dev/null || true # it may be through by now
	fi
	got=0
	wait $runner || got=$?
	[ "$got" -eq 130 ] || fail "long transform: status $got"
	none_left "long transform"
done

# kill -9 of the runner: no process is left, and the next run removes the
# folder.
start chain
wait_for "items come through" test -s lines
kill -9 $runner
wait $runner 2> /dev/null || true
none_left "kill -9"
[ "$(ls "$run" | wc -l)" -eq 1 ] || fail "kill -9: where is the run's folder?"
run 0 chain --set n=10
