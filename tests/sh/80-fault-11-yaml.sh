# YAML as people and their editors write it: a byte order mark, CRLF, merge
# keys, the spellings of true and null, tabs, capital extensions.
# needs: all tests/stages
set -eu
facet=$PWD/$BUILD/facet
export FACET_STAGES="$PWD/$BUILD/tests/stages"
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"

fail() { echo "FAILED: $*" >&2; exit 1; }
# answers STATUS TEXT COMMAND...: exit status, and a text among what it says
answers() {
	status=$1 text=$2 got=0
	shift 2
	"$@" > said 2>&1 || got=$?
	[ "$got" -eq "$status" ] || { cat said; fail "exit status $got: $*"; }
	grep -qF -- "$text" said || { cat said; fail "no '$text': $*"; }
}
# once TEXT: it was said exactly once
once() {
	[ "$(grep -cF -- "$1" said)" -eq 1 ] || { cat said; fail "not once: $1"; }
}

cat > plain.yaml <<'Y'
version: 1
vars: {n: 3}
stages:
  src: {run: t-count, with: {n: "${n}"}}
  sink: {run: t-collect, from: src, with: {file: lines}}
Y
{ printf '\357\273\277'; cat plain.yaml; } > bom.yaml
sed 's/$/\r/' plain.yaml > crlf.YAML
{ printf '\357\273\277'; cat crlf.YAML; } > both.YML
for f in plain.yaml bom.yaml crlf.YAML both.YML; do
	rm -f lines
	"$facet" run -q "$f" || fail "$f does not run"
	[ "$(wc -l < lines)" -eq 3 ] || fail "$f: $(wc -l < lines) lines"
done
iconv -f UTF-8 -t UTF-16 plain.yaml > wide.yaml
answers 2 "wide.yaml:1:1: error: UTF-16: save it as UTF-8" \
	"$facet" run wide.yaml

# Merge keys: own keys win over merged, earlier over later, ~ undoes one.
cat > merge.yaml <<'Y'
version: 1
stages:
  a: &a {run: t-count, with: &w {n: 3}, replicas: 2}
  b: {<<: *a, replicas: 1}
  c: {replicas: ~, <<: *a, with: {<<: [*w, {n: 7, sleep-ms: 1}]}}
  sink: {run: t-collect, from: [a, b, c], with: {file: lines}}
Y
"$facet" check -v merge.yaml > plan
grep -A1 '^a:' plan | grep -q '2 replicas' || fail "a"
grep -A1 '^b:' plan | grep -q 'replicas' && fail "b has a's replicas"
grep -A1 '^b:' plan | grep -q '    n = 3' || fail "b has not a's parameters"
grep -A2 '^c:' plan | grep -q 'replicas' && fail "~ did not undo the replicas"
grep -A2 '^c:' plan | grep -q '    n = 3' || fail "the first map must win"
grep -A2 '^c:' plan | grep -q '    sleep-ms = 1' || fail "the second map"
rm lines
"$facet" run -q merge.yaml
[ "$(wc -l < lines)" -eq 12 ] || fail "merge.yaml: $(wc -l < lines) lines"
printf 'version: 1\nstages:\n  a: {<<: [1]}\n' > bad.yaml
answers 2 "bad.yaml:3:12: error: '<<' merges a map or a list of maps, not a text" \
	"$facet" run bad.yaml
once "'<<'"

# Tabs: refused with the place, once, by every verb alike.
printf 'version: 1\nstages:\n\ta: {run: t-count}\n' > tab.yaml
for verb in run check graph; do
	answers 2 "tab.yaml:3:1: error: a tab indents this line: use spaces" \
		"$facet" $verb tab.yaml
	[ "$(wc -l < said)" -eq 1 ] || { cat said; fail "$verb says it twice"; }
done
for verb in run check graph; do
	answers 2 "facet $verb: no pipeline 'gone' in " "$facet" $verb gone.yaml
	once "'gone'"
	answers 2 "no file './gone.yaml'" "$facet" $verb ./gone.yaml
	once gone.yaml
done

# Spellings of true and false; an empty value where one is needed.
unset FACET_STAGES
bool() { # bool VALUE: a file with it
	printf 'version: 1\nstages:
  s: {run: head-renderer, with: {heads: 1, surface: %s}}
  d: {run: sample-writer, from: s, with: {root: o}}\n' "$1" > bool.yaml
}
for word in true True TRUE yes Yes on ON y 1 false False NO no Off n 0; do
	bool "$word"
	"$facet" check bool.yaml > said 2>&1 ||
		{ cat said; fail "'$word' is neither true nor false"; }
done
bool maybe
answers 2 "'maybe' is not true or false" "$facet" check bool.yaml
for word in '~' null Null NULL ''; do
	bool "$word"
	answers 2 "surface: no value (leave it out, or write \"\" for an empty" \
		"$facet" check bool.yaml
done
