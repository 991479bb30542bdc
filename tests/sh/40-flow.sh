# Pipelines of test stages: every shape of graph, failures, large tensors.
# needs: all tests/stages
set -eu
facet=$PWD/$BUILD/facet
export FACET_STAGES="$PWD/$BUILD/tests/stages"
unset FACET_THREADS || true
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"

fail() {
	echo "FAILED: $*" >&2
	[ -f err ] && tail -n 20 err >&2
	exit 1
}
# run WANTED_STATUS NAME [argument...]: lines of the sinks in $dir/lines
run() {
	want=$1 name=$2
	shift 2
	rm -rf lines odd dead
	got=0
	"$facet" run "$name.yaml" "$@" > out 2> err || got=$?
	[ "$got" -eq "$want" ] || fail "$name: exit status $got, wanted $want"
}
lines() { # lines WANTED [file]
	n=$(wc -l < "${2:-lines}")
	[ "$n" -eq "$1" ] || fail "$name: $n items, wanted $1"
}
# Items 0..n-1, each in column 1 as often as said
each() { # each N TIMES [file]
	cut -d' ' -f1 "${3:-lines}" | sort -n | uniq -c |
		awk -v n="$1" -v t="$2" '$1 != t || $2 != NR - 1 {bad = 1}
		END {exit bad || NR != n}' || fail "$name: not each item $2 times"
}

# A chain; the same ids whatever the replicas; reports on standard output.
cat > chain.yaml <<'Y'
version: 1
vars: {n: 200, file: lines}
stages:
  src: {run: t-count, with: {n: "${n}", bytes: 100}}
  work: {run: t-work, from: src}
  sink: {run: t-collect, from: work, with: {file: "${file}"}}
Y
run 0 chain
each 200 1
cut -d' ' -f3 lines | sort > ids1
grep -q '^collected 200, 0 bad bytes$' out || fail "no report"
grep -q '^work  *1  *200  *200  *0 ' err || fail "no closing table"
grep -q "$(printf '\033')" err && fail "escape codes off a terminal"
sed 's/from: src/from: src, replicas: 3/' chain.yaml > replicas.yaml
run 0 replicas
each 200 1
cut -d' ' -f3 lines | sort | cmp - ids1 || fail "replicas change the ids"
run 0 chain --set n=0
lines 0
# The ids of --stdio are those of the run.
$FACET_STAGES/t-count --stdio --n 200 --bytes 100 --instance src |
	$FACET_STAGES/t-work --stdio --instance work |
	"$facet" tape show - | awk '$1 == "item" {print $3}' | sort > ids2
cmp ids1 ids2 || fail "--stdio gives other ids than a run"

# Fan-out by a port to two stages, fan-in of two ports, two output ports.
cat > diamond.yaml <<'Y'
version: 1
stages:
  src: {run: t-count, with: {n: 100}}
  a: {run: t-work, from: src, replicas: 2}
  b: {run: t-work, from: src, with: {children: 2}}
  join: {run: t-join, from: {left: a, right: b}, replicas: 2}
  even: {run: t-collect, from: join.even, with: {file: lines}}
  odd: {run: t-collect, from: join.odd, with: {file: odd}}
Y
run 0 diamond
lines 150
lines 150 odd
[ "$(grep -c ' left ' lines)" -eq 50 ] || fail "diamond: left"
[ "$(grep -c ' right ' odd)" -eq 100 ] || fail "diamond: right"
[ "$(cut -d' ' -f3 lines odd | sort -u | wc -l)" -eq 300 ] || fail "ids"

# Several stages into one port.
cat > merge.yaml <<'Y'
version: 1
stages:
  src: {run: t-count, with: {n: 100}}
  a: {run: t-work, from: src}
  b: {run: t-work, from: src}
  sink: {run: t-collect, from: [a, b], with: {file: lines}}
Y
run 0 merge
each 100 2

# Failures: set aside with reason and input, counted, on the port `failed`,
# fed again by hand.
cat > bad.yaml <<'Y'
version: 1
vars: {retries: 0, late: no, attempts: 0}
dead: dead
stages:
  src: {run: t-count, with: {n: 30, bytes: 10}}
  work:
    run: t-work
    from: src
    replicas: 2
    retries: "${retries}"
    with: {fail-every: 3, children: 2, fail-late: "${late}",
           fail-attempts: "${attempts}"}
  sink: {run: t-collect, from: work, with: {file: lines}}
  bad: {run: t-collect, from: work.failed, with: {file: odd}}
Y
run 1 bad
lines 40
lines 10 odd
grep -q ' data$' odd || fail "no error_code on the port 'failed'"
[ "$(ls dead/work/*.tape | wc -l)" -eq 10 ] || fail "not 10 dead letters"
ls -a dead/work | grep -q '^\.tmp' && fail "half a dead letter"
grep -h error_text dead/work/*.txt | sort -u | grep -q '^error_text: 27 is no good$' ||
	fail "no reason"
grep -q '10 items failed' err || fail "failures not in the table"
"$facet" tape cat dead/work/*.tape |
	$FACET_STAGES/t-work --stdio --children 2 > again.tape 2> err ||
	fail "dead letters cannot be fed again"
[ "$("$facet" tape show again.tape | grep -c '^item')" -eq 20 ] || fail "again"
# Retried in place: no child twice, and none lost.
run 0 bad --set retries=2 --set attempts=2 --set late=yes
each 30 2
[ "$(cut -d' ' -f3 lines | sort -u | wc -l)" -eq 60 ] || fail "doubled child"
[ ! -e dead ] || fail "a retried item is a dead letter"
run 1 bad --set retries=1
grep -q '^error_attempts: 2$' dead/work/*.txt || fail "attempts not counted"
# A letter is forgotten when its item comes through.
"$facet" run bad.yaml --set attempts=1 --set retries=1 > out 2> err ||
	fail "second run"
[ "$(ls dead/work | wc -l)" -eq 0 ] || fail "old dead letters stay"

# Dead letters that cannot be written break the run.
: > blocked
sed 's/^dead: .*/dead: blocked/' bad.yaml > nodead.yaml
run 3 nodead
grep -q "stage 'work.*cannot set a failed item aside.*blocked" err ||
	fail "no reason for the broken store"

# Large tensors: 10 MB each, more than the window in all, to two receivers.
cat > large.yaml <<'Y'
version: 1
stages:
  src: {run: t-count, with: {n: 30, bytes: 10000000}}
  work: {run: t-work, from: src, replicas: 2}
  sink: {run: t-collect, from: [work, src], with: {file: lines}}
Y
run 0 large
each 30 2
grep -q '^collected 60, 0 bad bytes$' out || fail "large: bytes differ"

# --dry-run, --quiet, --log.
run 0 replicas --dry-run
grep -q '^work: 3 x .*t-work' out || fail "--dry-run"
[ ! -e lines ] || fail "--dry-run ran"
run 0 chain --quiet --log log
[ ! -s err ] || fail "--quiet is not"
grep -q '^collected 200' log || fail "--log lacks the report"
run 2 chain --set nn=3
