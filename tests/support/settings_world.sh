# For scripts about what a changed setting does to results: stages and weights of
# their own, three pictures, p.yaml over them into `out`. Sourced from the
# repository root; the folder is scratch.sh's.
. "$(pwd)/tests/support/scratch.sh"

# stages and weights of our own, to be changed
mkdir stages models
for s in catalog frame-sampler head-renderer landmarker pose-drawer sample-writer sample-reader; do
	cp "$root/$BUILD/stages/$s" stages/
done
cp "$root/models/points-128.safetensors" models/
cp "$root/models/fan1-128.safetensors" models/
FACET_STAGES=$dir/stages FACET_MODELS=$dir/models
export FACET_STAGES FACET_MODELS

# three rendered heads as the sources
cat > heads.yaml <<'W'
version: 1
stages:
  heads: {run: head-renderer, with: {heads: 3, frames: 1, size: 128, fill: 0.7, yaw: 5}}
  store: {run: sample-writer, from: heads, with: {root: heads, format: png}}
W
"$facet" run -q heads.yaml > /dev/null 2> h.err || { cat h.err; fail heads; }
mkdir -p pictures/a
for i in 1 2 3; do cp heads/head0000$i/00001/frame_0.png pictures/a/$i.png; done

cat > p.yaml <<'W'
version: 1
vars: {model: points-128, retry: none, other: remake, out: out, sources: stamps, radius: 2, identity: first}
stages:
  catalog: {run: catalog, with: {root: pictures, media: pictures, done: "${out}", retry: "${retry}", sources: "${sources}", identity: "${identity}"}}
  frames: {run: frame-sampler, from: catalog, with: {count: 1}}
  points: {run: landmarker, from: frames, with: {model: "${model}", box: frame, min-score: 0}, threads: 1}
  poses: {run: pose-drawer, from: points, with: {radius: "${radius}"}}
  store: {run: sample-writer, from: [poses, points.failed], with: {root: "${out}", other: "${other}"}}
W
run() { "$facet" run -q p.yaml "$@" > run.out 2> run.err || { cat run.out run.err; fail "run $*"; }; }
sums() { (cd "$1" && find . -path ./.facet -prune -o -type f ! -name '*.csv' -exec cksum {} + -o -name 'landmarks*' -exec cksum {} + | sort -k3); }
told='3 of 3 samples in '\''out'\'' are there from other settings'
