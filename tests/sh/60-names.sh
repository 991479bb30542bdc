# Pipelines by name and what they say of themselves; folders, files and models
# that are to be read are looked for before anything starts.
# needs: all c:python3 py:numpy
set -eu
facet=$PWD/$BUILD/facet
tree=$PWD
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
unset FACET_STAGES FACET_MODELS FACET_PIPELINES

fail() { echo "FAILED: $*" >&2; exit 1; }
# answers STATUS TEXT COMMAND...: exit status, and a text among what it says
answers() {
	status=$1 text=$2 got=0
	shift 2
	"$@" > said 2>&1 || got=$?
	[ "$got" -eq "$status" ] || { cat said; fail "exit status $got: $*"; }
	grep -qF -- "$text" said || { cat said; fail "no '$text': $*"; }
}
says() { grep -qF -- "$1" said || { cat said; fail "no '$1'"; }; }

# The list: every pipeline of the tree, one a line off a terminal.
"$facet" pipelines > list
for p in "$tree"/pipelines/*.yaml; do
	[ "$(grep -c "^$(basename "$p" .yaml)  *[A-Z3]" list)" -eq 1 ] ||
		{ cat list; fail "$p is not listed"; }
done
[ "$(wc -l < list)" -eq "$(ls "$tree"/pipelines/*.yaml | wc -l)" ]

# What one does, three ways; with and without its ending.
answers 0 "usage: facet run preprocess" "$facet" run preprocess --help
cp said want
grep -q '^  out  *the store \[out/pairs\]$' said || fail "no default"
says "[required]"
grep -q '^  points  *landmarker: Finds' said || fail "no stage"
"$facet" pipelines preprocess | cmp - want
answers 0 "[required]" "$facet" run preprocess.yaml -h
answers 0 "usage: facet check preprocess" "$facet" check preprocess --help
answers 0 "usage: facet graph augment" "$facet" graph augment --help
awk 'length > 100 {exit 1}' want || fail "wide help"

# Which of several is taken: the working folder's, FACET_PIPELINES, pipelines/,
# the tree's. A folder of that name is none.
one() { # one FILE HELP
	mkdir -p "$(dirname "$1")"
	printf 'version: 1\nhelp: %s\nstages: {}\n' "$2" > "$1"
}
one pipelines/preprocess.yaml theirs
one more/preprocess.yml "those of the variable"
one preprocess.YAML "mine"
mkdir preprocess
answers 0 "mine" "$facet" run preprocess --help
rm preprocess.YAML
FACET_PIPELINES=$dir/none:$dir/more
export FACET_PIPELINES
answers 0 "those of the variable" "$facet" run preprocess --help
"$facet" pipelines | grep -q '^preprocess  *those of' || fail "list: variable"
unset FACET_PIPELINES
answers 0 "theirs" "$facet" run preprocess --help
rm -r pipelines more
answers 0 "[required]" "$facet" run preprocess --help
answers 2 "no pipeline 'preproces'" "$facet" run preproces
says "(did you mean 'preprocess'?)"
answers 2 "(did you mean detector-error, train-detector?)" \
	"$facet" run detector
answers 2 "there are augment, " "$facet" run xyzzy

# Input folders, before anything starts; each error once, nothing made.
mkdir clips
answers 2 "no folder 'clps' (did you mean 'clips'?)" \
	"$facet" run preprocess --set videos=clps
[ "$(wc -l < said)" -eq 1 ] || { cat said; fail "more than the error"; }
[ ! -e out ] || fail "something was started"
answers 2 "no folder 'a/b/c': there is no 'a'" \
	"$facet" check preprocess --set videos=a/b/c
answers 2 "no folder 'clips/x/y': there is no 'clips/x'" \
	"$facet" check preprocess --set videos=clips/x/y
echo > file
answers 2 "'file' is a file, not a folder" \
	"$facet" check preprocess --set videos=file
answers 2 "no file './fil' (did you mean './file'?)" \
	"$facet" check preprocess --set videos=clips --set catalog.list=./fil
answers 2 "'clips' is a folder, not a file" \
	"$facet" check preprocess --set videos=clips --set catalog.list=clips
# What is made need not be there; nor what a graph only draws.
answers 0 "sound" "$facet" check preprocess --set videos=clips --set out=new/x
answers 0 "digraph" "$facet" graph preprocess --set videos=nowhere

# Models: by name, by path, by default.
answers 2 "no model 'points-129' in " \
	"$facet" run preprocess --set videos=clips --set points.model=points-129
says "(did you mean 'points-128'?)"
says "error: stage 'points', parameter 'model'"
! grep -q '\.\./' said || { cat said; fail "a long path"; }
answers 2 "no model 'zzz' in " \
	"$facet" check preprocess --set videos=clips --set points.model=zzz
says "there are faces-16, fan1-128, "
answers 2 "no file './points-128.safetensors'" "$facet" check preprocess \
	--set videos=clips --set points.model=./points-128.safetensors
mkdir m
cp "$tree"/models/points-128.safetensors m/mine.safetensors
FACET_MODELS=m "$facet" check -v preprocess --set videos=clips \
	--set points.model=mine > plan
cat > d.yaml <<'Y'
version: 1
stages:
  heads: {run: head-renderer, with: {heads: 1}}
  points: {run: landmarker, from: heads}
  depth: {run: landmark-depth, from: points}
  store: {run: sample-writer, from: depth, with: {root: o}}
Y
answers 2 "d.yaml:5:3: error: stage 'depth', parameter 'model' by default: no model 'depth-2a464da4ea'" \
	"$facet" run d.yaml
[ ! -e o ] || fail "the store was made"

# A stage by part of its name; a file of the working folder.
answers 2 "(did you mean landmark-depth, landmark-evaluator, landmark-" \
	"$facet" stages land
cp "$tree"/examples/pose-rotator.py fixed.py
printf 'version: 1\nstages:\n  a: {run: fixed.py}\n' > f.yaml
answers 2 "no stage 'fixed.py' (did you mean './fixed.py'?)" "$facet" check f.yaml

# Keys of a stage from the command line; a parameter of that name is meant first.
keys() { "$facet" check -v preprocess --set videos=clips "$@" > said 2>&1; }
keys --set points.replicas=3 --set points.threads=2 --set points.retries=1 \
	--set store.run=sheet-writer --set frames.threads=5 ||
	{ cat said; fail "keys of a stage"; }
says "landmarker  (transform, 3 replicas, 2 threads each, 1 retry)"
says "/sheet-writer  (sink)"
says "    threads = 5"
keys --set points.replicas=auto || fail "auto"
says "replicas auto"
answers 2 "--set points.replicas=0: error: replicas: '0' is not a whole number from 1 to 256 or auto" \
	"$facet" check preprocess --set videos=clips --set points.replicas=0
answers 2 "--set points.run=landmrker: error: run: no stage 'landmrker' (did you mean 'landmarker'?)" \
	"$facet" check preprocess --set videos=clips --set points.run=landmrker
answers 2 "--set points.run='a: error: run: a quote is not closed" \
	"$facet" check preprocess --set videos=clips "--set=points.run='a"

# "~/" where no shell reads it: in a file, in --set, for what is read and made.
mkdir home home/clips
at_home() { env HOME="$PWD/home" "$facet" "$@"; }
at_home check -v preprocess --set "videos=~/clips" --set "out=~/pairs" > said 2>&1 ||
	{ cat said; fail "~/"; }
says "    root = $PWD/home/clips"
says "    root = $PWD/home/pairs"
answers 2 "no folder '$PWD/home/none'" \
	at_home check preprocess --set "videos=~/none"
answers 2 "'~/clips': HOME is not set" \
	env HOME= "$facet" check preprocess --set "videos=~/clips"
cat > home.yaml <<'Y'
version: 1
dead: ~/dead
stages:
  a: {run: catalog, with: {root: ~/none-yet}}
  b: {run: frame-sampler, from: a}
  c: {run: sample-writer, from: b, with: {root: ~/out}}
Y
mkdir home/none-yet
at_home run home.yaml --dry-run > said 2>&1 || { cat said; fail "dead: ~/"; }
says "failed items go to $PWD/home/dead"

# A stage on its own: shells leave "--root=~/x" as it is.
: > home/clips/a.mp4
env HOME="$PWD/home" "$tree/$BUILD/stages/catalog" --stdio "--root=~/clips" > said 2>&1 ||
	{ cat said; fail "--root=~/ of a stage"; }
answers 2 "parameter 'root': '~/clips': HOME is not set" \
	env HOME= "$tree/$BUILD/stages/catalog" --stdio "--root=~/clips"
mkdir '~' && : > '~/a.mp4' # it can still be named
env HOME="$PWD/home" "$tree/$BUILD/stages/catalog" --stdio "--root=./~" > c.tape 2> said ||
	{ cat said; fail "./~"; }
# Numbers and texts are no paths.
answers 2 "'~/1' is not an integer" \
	at_home check preprocess --set videos=clips "--set=frames.count=~/1"
