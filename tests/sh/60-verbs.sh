# facet check, graph, stages and the command's own frame, over real stages:
# small programs of this test, and ours.
# needs: all c:dot
set -eu
facet=$PWD/$BUILD/facet
ours=$PWD/$BUILD/stages
pipelines=$PWD/pipelines
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

mkdir s
describes() { # describes NAME: the description on standard input
	{ printf "#!/bin/sh\ncat <<'END'\n"; cat; echo END; } > "s/$1"
	chmod +x "s/$1"
}
describes numbers <<'Y'
name: numbers
kind: source
help: "Counts up. Slowly."
out: "n i64"
params: [{name: count, type: int, default: 3, min: 0, help: "How many."}]
Y
describes halves <<'Y'
name: halves
kind: transform
in: [{name: in, fields: "n i64", help: "a number"}]
out: "half f64"
Y
describes keep <<'Y'
name: keep
kind: sink
in: "n i64, half f64?"
params: [{name: root, type: path}]
Y
printf '#!/bin/sh\necho "no such flag" >&2\nexit 9\n' > s/other
chmod +x s/other
export FACET_STAGES=s

cat > p.yaml <<'Y'
version: 1
vars: {count: 5, out: {help: where to}}
stages:
  src:  {run: numbers, with: {count: "${count}"}}
  half: {run: halves, from: src, replicas: 3}
  all:  {run: keep, from: [src, half], with: {root: "${out}"}}
  lost: {run: "s/keep --quiet", from: half.failed, with: {root: "${out}/x"}}
Y
cp p.yaml before.yaml
answers 0 "p.yaml: 4 stages, 4 links: sound" "$facet" check p.yaml --set out=o
answers 0 "root = o/x" "$facet" check -v p.yaml --set out=o
grep -q '^src: s/numbers  (source, external)$' said || fail "no command"
grep -q '^half: .*3 replicas' said || fail "no replicas"
grep -q '^    in <- half.failed$' said || fail "no link"
grep -q '^dead letters: o/dead$' said || fail "no dead letters"
answers 0 "count = 9" "$facet" check -v p.yaml --set out=o --set=src.count=9
answers 2 "p.yaml:2:18: error: variable 'out' must be set: --set out=..." \
	"$facet" check p.yaml
answers 2 "p.yaml:4:38: error: stage 'src', parameter 'count': -1 is not >= 0" \
	"$facet" check p.yaml --set out=o --set count=-1
answers 2 "no pipeline 'q' in this folder" "$facet" check q.yaml
answers 2 "which pipeline?" "$facet" check
answers 2 "did you mean '--verbose'" "$facet" check p.yaml --verbos
cp p.yaml q.yaml
answers 2 "one pipeline, please" "$facet" graph p.yaml p.yaml
answers 0 "q.yaml: 4 stages, 4 links: sound" \
	"$facet" check p.yaml q.yaml --set out=o
grep -q '^p.yaml: .*sound$' said || fail "only one of two files"
answers 2 "--set needs NAME=VALUE" "$facet" check p.yaml --set
# every fault in one go
sed -e 's/halves/halvse/' -e 's/from: half.failed/from: hafl/' p.yaml > q.yaml
answers 2 "q.yaml:5:15: error: run: no stage 'halvse' (did you mean 'halves'?)" \
	"$facet" check q.yaml --set out=o
grep -qF "q.yaml:7:39: error: no stage 'hafl' (did you mean 'half'?)" said ||
	fail "the second fault"
cmp p.yaml before.yaml

# graph: source to standard output and to a file, a picture, and what is said
# where it cannot be drawn.
"$facet" graph p.yaml --set out=o > a.dot
"$facet" graph p.yaml --set out=o -o b.dot
cmp a.dot b.dot
grep -q 's0 -> s1 \[label="n i64\\l"\]' a.dot || fail "no link in the graph"
grep -q 'halves\\n× 3' a.dot || fail "no replicas in the graph"
answers 2 "must end in .dot" "$facet" graph p.yaml --set out=o -o x.jpeg
if command -v dot > /dev/null; then
	"$facet" graph p.yaml --set out=o -o c.svg
	grep -q '</svg>' c.svg || fail "no picture"
	for name in src half all lost; do
		grep -q ">$name<" c.svg || fail "no $name in the picture"
	done
fi
mkdir bin
for tool in sh cat; do ln -s "$(command -v $tool)" bin/; done
answers 3 "install graphviz" env PATH="$dir/bin" "$facet" graph p.yaml \
	--set out=o -o d.svg
[ ! -e d.svg ] || fail "half a picture"

# stages: the list, what is no stage, one of ours and one of others'.
answers 0 "numbers" "$facet" stages
grep -q '^halves  *transform' said || fail "no halves"
grep -q '^numbers  *source  *Counts up$' said || fail "no summary"
grep -q "other is no stage: .* ended with status 9: no such flag" said ||
	fail "no reason for other"
printf '#!/bin/sh\nsleep 100000\n' > s/other
answers 0 "other is no stage: 's/other --describe' did not end within 1 s" \
	env FACET_START_TIMEOUT=1 "$facet" stages
rm s/other
answers 2 "FACET_START_TIMEOUT: '1h' is no number of seconds" \
	env FACET_START_TIMEOUT=1h "$facet" run p.yaml
answers 2 "FACET_EXIT_TIMEOUT: '0' is no number of seconds" \
	env FACET_EXIT_TIMEOUT=0 "$facet" run p.yaml
answers 0 "n i64, half f64?" "$facet" stages keep
grep -q -- '--root path  \[required\]' said || fail "no parameter"
answers 2 "did you mean 'halves'" "$facet" stages halvs
answers 2 "one NAME" "$facet" stages a b
n=0
for s in "$ours"/*; do
	name=$(basename "$s")
	"$s" --help > want.txt
	"$facet" stages "$name" | cmp - want.txt || fail "help of $name"
	awk 'length > 100 {exit 1}' want.txt || fail "wide help of $name"
	"$s" --man | grep -q "^.TH \"FACET-$name\" 1" || fail "man of $name"
	n=$((n + 1))
done
[ "$n" -ge 5 ] || fail "only $n stages"

# Each pipeline file of the project is sound, whatever its variables are.
unset FACET_STAGES
mkdir x # what any variable names
for model in s3fd-619a316812 3DFAN4-7835d9f11d depth-2a464da4ea; do
	touch x/$model.safetensors # weights that do not ship
done
export FACET_MODELS=x
for p in "$pipelines"/*.yaml; do
	set -- "$p"
	for var in $("$facet" check "$p" 2>&1 |
		sed -n "s/.*variable '\([a-z0-9_-]*\)' must be set.*/\1/p"); do
		set -- "$@" --set "$var=x"
	done
	"$facet" check "$@" > said 2>&1 || { cat said; fail "$p is not sound"; }
	! grep -q warning said || { cat said; fail "$p: warnings"; }
done

# The frame.
answers 0 "usage: facet VERB" "$facet" --help
for verb in check graph new run stages tape; do
	grep -q "^  $verb  *[a-z]" said || fail "no verb $verb"
done
answers 0 "usage: facet check" "$facet" check --help
answers 0 "usage: facet check" "$facet" help check
answers 0 "facet 0." "$facet" --version
answers 2 "did you mean 'check'" "$facet" chekc
answers 2 "usage: facet VERB" "$facet"
"$facet" --help > /dev/full 2> said && fail "a full disk was not noticed"
true
