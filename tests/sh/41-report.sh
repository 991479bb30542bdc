# facet run --report: one JSON object that says what was run and how it went, of
# runs that end well, with failures, and broken.
# needs: all c:python3 tests/stages
set -eu
facet=$PWD/$BUILD/facet
export FACET_STAGES="$PWD/$BUILD/tests/stages"
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
fail() { echo "FAILED: $*" >&2; exit 1; }

cat > p.yaml <<'Y'
version: 1
vars: {n: 10, every: 0}
stages:
  src: {run: t-count, with: {n: "${n}"}}
  work: {run: t-work, from: src, with: {fail-every: "${every}"}, replicas: 2}
  sink: {run: t-collect, from: work, with: {file: "li\"nes"}}
Y
# see STATUS EXPRESSION: a run's exit status and what holds of its report
see() {
	"$PYTHON" - "$1" "$2" <<'P'
import json, sys
r = json.load(open("r.json"))
s = {x["name"]: x for x in r["stages"]}
assert r["exit_status"] == int(sys.argv[1]), r
assert eval(sys.argv[2]), json.dumps(r, indent=1)
P
}
"$facet" run p.yaml --report r.json --set n=12 > results 2> /dev/null
see 0 'r["status"] == "ok" and r["failed"] == 0 and "error" not in r'
see 0 'r["facet"] and r["pipeline"] == "p.yaml" and r["started"].endswith("Z")'
see 0 'r["command"] == "facet run p.yaml --report r.json --set n=12"'
see 0 'r["variables"] == {"n": "12", "every": "0"} and r["seconds"] > 0'
see 0 's["src"]["out"] == 12 and s["work"]["in"] == 12 == s["sink"]["in"]'
see 0 's["work"]["replicas"] == 2 and s["work"]["kind"] == "transform"'
see 0 's["src"]["parameters"]["n"] == "12" and s["sink"]["parameters"]["file"] == "li\"nes"'
see 0 's["work"]["program"].endswith("/t-work") and s["work"]["items_per_second"] > 0'
see 0 'r["results"] == open("results").read().splitlines() != []'

got=0
"$facet" run -q p.yaml --report r.json --set every=5 > /dev/null 2>&1 || got=$?
[ $got -eq 1 ] || fail "status $got"
see 1 'r["status"] == "failed items" and r["failed"] == 2 == s["work"]["failed"]'
see 1 'r["dead_letters"] == "dead"'
got=0
"$facet" run -q p.yaml --report r.json --set sink.file=/nowhere/x > /dev/null 2> said || got=$?
[ $got -eq 3 ] || fail "status $got"
see 3 'r["status"] == "broken" and "/nowhere/x" in r["error"] and r["seconds"] == 0'
got=0
"$facet" run -q p.yaml --report /dev/full/x > /dev/null 2> said || got=$?
[ $got -eq 3 ] || fail "a report that cannot be written: status $got"
grep -q '/dev/full' said || fail "no reason"
# Nothing is run: no report.
rm r.json
"$facet" run -q p.yaml --report r.json --set n=x > /dev/null 2>&1 && fail "n=x"
[ ! -e r.json ] || fail "a report of nothing"
