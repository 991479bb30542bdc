# How runs end that do not end well: crashes, silence, signals, kill -9 of the
# runner; and that no process and no folder is left.
# needs: all tests/stages
set -eu
facet=$PWD/$BUILD/facet
stages=$PWD/$BUILD/tests/stages
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
mkdir run mine
export XDG_RUNTIME_DIR="$dir/run"
export FACET_STAGES="$stages:$dir/mine"

fail() {
	echo "FAILED: $*" >&2
	[ -f err ] && tail -n 20 err >&2
	exit 1
}
# Processes of this test: all run with FACET_STAGES of this folder.
mine() {
	grep -lzs "^FACET_DIR=$dir/run" /proc/[0-9]*/environ | cut -d/ -f3
}
none_left() {
	i=0
	while [ -n "$(mine)" ]; do
		i=$((i + 1))
		[ $i -lt 40 ] || fail "$1: processes are left: $(mine)"
		sleep 0.05
	done
}
run() {
	want=$1 name=$2
	shift 2
	rm -f lines
	got=0
	timeout 60 "$facet" run "$name.yaml" "$@" > out 2> err || got=$?
	[ "$got" -eq "$want" ] || fail "$name $*: exit status $got, wanted $want"
	none_left "$name $*"
	[ -z "$(ls run)" ] || fail "$name $*: the run's folder stays"
}

cat > chain.yaml <<'Y'
version: 1
vars: {n: 1000000, crash: -1, leave: -1, fail-open: no, sleep: 0}
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
*--describe*) sed 's/^name: .*/name: mute/' "$(dirname "$0")/../t-work.describe" ;;
*) exec sleep 60 ;;
esac
S
chmod +x mine/mute
"$stages/t-work" --describe > t-work.describe
sed 's/run: t-work/run: mute/' chain.yaml > mute.yaml
run 3 mute --start-timeout 2
grep -q "stage 'work.0' (mute) was started but did not answer within 2 s" err ||
	fail "mute: no clear reason"
# It talks, then dies before it says hello.
sed -i 's/exec sleep 60/echo about to die >\&2; exit 9/' mine/mute
run 3 mute
grep -q "^work.[01]: about to die" err || fail "its last words are lost"
grep -q "stage 'work' .* exited with status 9" err || fail "early exit"

# Signals: status 128 + signal, within a few seconds, nothing left.
start() { # start N_LINES [argument...]: until so many have come through
	want=$1
	shift
	rm -f lines
	env --default-signal=INT "$facet" run chain.yaml "$@" > out 2> err &
	runner=$!
	i=0
	until [ "$(mine | wc -l)" -eq 4 ] && [ -e lines ]; do
		i=$((i + 1))
		[ $i -lt 400 ] || fail "the run does not start"
		sleep 0.02
	done
	while [ "$want" -gt 0 ] && [ ! -s lines ]; do sleep 0.02; done
}
for s in INT TERM; do
	start 1
	kill -$s $runner
	got=0
	wait $runner || got=$?
	want=143
	[ $s = INT ] && want=130
	[ "$got" -eq "$want" ] || fail "SIG$s: status $got, wanted $want"
	none_left "SIG$s"
	grep -q '^stopping' err || fail "SIG$s: says nothing"
	[ -z "$(ls run)" ] || fail "SIG$s: the run's folder stays"
done
# A stage in a long transform does not hold the stop up for ever, and a second
# signal does not wait for it.
for again in no yes; do
	start 0 --set sleep=600000
	kill -INT $runner
	# On a busy machine it may have stopped before the second one.
	[ $again = no ] || { sleep 0.2; kill -INT $runner 2> /dev/null || true; }
	got=0
	wait $runner || got=$?
	[ "$got" -eq 130 ] || fail "long transform: status $got"
	none_left "long transform"
done

# kill -9 of the runner: no process is left, and the next run removes the
# folder.
start 1
kill -9 $runner
wait $runner 2> /dev/null || true
none_left "kill -9"
[ "$(ls run | wc -l)" -eq 1 ] || fail "kill -9: where is the run's folder?"
run 0 chain --set n=10
