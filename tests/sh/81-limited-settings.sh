# Results follow the settings of stages behind the bridge (time-limit) too.
# needs: all
set -eu
root=$(pwd)
facet=$root/$BUILD/facet
export FACET_STAGES="$root/$BUILD/stages"
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
fail() { echo "FAILED: $*" >&2; exit 1; }
has() { grep -qF -- "$2" "$1" || { cat "$1"; fail "no '$2' in $1"; }; }

mkdir few
printf 'P6 8 8 255\n' > few/1.ppm
head -c 192 /dev/zero | tr '\0' x >> few/1.ppm
cat > limited.yaml <<'W'
version: 1
vars: {quality: 95, out: limited, other: remake}
stages:
  catalog: {run: catalog, with: {root: few, media: pictures, done: "${out}"}, time-limit: 600}
  frames: {run: frame-sampler, from: catalog, with: {count: 1}}
  store: {run: sample-writer, from: frames, with: {root: "${out}", quality: "${quality}", other: "${other}"}, time-limit: 600}
W
limited() { "$facet" run -q limited.yaml "$@" > run.out 2> run.err || { cat run.out run.err; fail "limited $*"; }; }
limited
limited
has run.out '1 listed, 1 left out (finished before)'
limited --set quality=10
has run.out '(store.quality: 95 -> 10): made anew'
has run.out '1 replaced'
limited --set other=apart --set out=separate
[ -n "$(find separate -path '*/settings-*/*.jpg')" ] || fail "apart behind the bridge"
