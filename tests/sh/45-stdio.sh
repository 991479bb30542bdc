# A stage on its own: exit statuses, ports, acks, reports, broken input and
# output.
# needs: all tests/stages
set -eu
facet=$PWD/$BUILD/facet
s=$PWD/$BUILD/tests/stages
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
fail() {
	echo "FAILED: $*" >&2
	cat err >&2
	exit 1
}
check() { # check STATUS NAME command...
	want=$1 name=$2 got=0
	shift 2
	"$@" > out 2> err || got=$?
	[ "$got" -eq "$want" ] || fail "$name: exit status $got, wanted $want"
}
items() { "$facet" tape show "$1" | grep -c "^item.*$2" || true; }

check 0 source "$s/t-count" --stdio --n 10 --bytes 5000
mv out in.tape
feed() { "$@" < in.tape; }
check 0 transform feed "$s/t-work" --stdio --children 3
[ "$(items out '')" -eq 30 ] || fail "not 30 items"
check 1 failures feed "$s/t-work" --stdio --fail-every 4
[ "$(items out '')" -eq 7 ] || fail "not 7 items"
[ "$(grep -c 'failed: data: . is no good$' err)" -eq 3 ] || fail "reasons"
check 1 "port failed" feed "$s/t-work" --stdio --fail-every 4 --out-port failed
[ "$("$facet" tape show out | grep -c 'error_stage *str *"t-work"')" -eq 3 ] ||
	fail "port failed"
check 1 acks feed "$s/t-work" --stdio --acks --fail-every 4
[ "$(items out 'kind ack')" -eq 7 ] || fail "acks"
[ "$(items out 'kind fail')" -eq 3 ] || fail "fails"
# Acks of a stage before are not input.
"$s/t-work" --stdio --acks < in.tape | "$s/t-work" --stdio > out
[ "$(items out '')" -eq 10 ] || fail "acks as input"
check 0 "in port" feed "$s/t-join" --stdio --in-port right --out-port=odd
[ "$("$facet" tape show out | grep -c 'way *str *"right"')" -eq 5 ] ||
	fail "in port"
check 0 sink feed "$s/t-collect" --stdio --file lines
[ "$(cat out)" = "collected 10, 0 bad bytes" ] || fail "report: $(cat out)"
check 0 "sink with acks" feed "$s/t-collect" --stdio --file lines --acks
[ "$(items out 'kind ack')" -eq 10 ] || fail "acks of a sink"
grep -q 'collected 10' err || fail "report beside acks"

check 2 "no mode" "$s/t-count"
check 2 "unknown parameter" "$s/t-count" --stdio --nn 3
grep -q "did you mean 'n'" err || fail "no hint"
check 2 "missing parameter" feed "$s/t-collect" --stdio
check 2 "no such port" feed "$s/t-work" --stdio --out-port side
check 2 "no runner" "$s/t-count" --linked
check 0 help "$s/t-count" --help
check 0 man "$s/t-count" --man

check 3 "open fails" feed "$s/t-work" --stdio --fail-open
head -c 20000 in.tape > cut.tape
feed_cut() { "$@" < cut.tape; }
check 3 "cut tape" feed_cut "$s/t-work" --stdio
grep -q 'standard input' err || fail "cut tape: which?"
echo nonsense > cut.tape
check 3 "no tape" feed_cut "$s/t-work" --stdio
full() { "$@" > /dev/full; }
check 3 "full disk" full "$s/t-count" --stdio --n 1000 --bytes 5000
grep -q 'No space left' err || fail "full disk: reason"

# A report in open() does not end up in the tape.
check 0 "report in open" feed "$s/t-work" --stdio --report true
[ "$(items out '')" -eq 10 ] || fail "report in open: not a tape of 10 items"
grep -q 'opening' err || fail "report in open: lost"

# What no message can hold fails alone, alone and in a run; an item of a
# source too.
check 1 "too large" feed "$s/t-work" --stdio --huge-at 3
[ "$(items out '')" -eq 9 ] || fail "too large: not 9 items"
[ "$(grep -c 'failed: ' err)" -eq 1 ] || fail "too large: no reason"
check 1 "source, too large" "$s/t-count" --stdio --n 10 --huge-at 3
[ "$(items out '')" -eq 9 ] || fail "source, too large: not 9 items"
cat > huge.yaml <<'Z'
version: 1
stages:
  src: {run: t-count, with: {n: 10, huge-at: 3}}
  work: {run: t-work, from: src, with: {huge-at: 5}}
  sink: {run: t-collect, from: work, with: {file: huge.lines}}
Z
FACET_STAGES=$s check 1 "run, too large" "$facet" run huge.yaml
[ "$(wc -l < huge.lines)" -eq 8 ] || fail "run, too large: not 8 lines"
[ "$(ls dead/src/*.tape dead/work/*.tape | wc -l)" -eq 2 ] ||
	fail "run, too large: not 2 letters"
