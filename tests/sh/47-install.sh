# An installed facet runs from any folder, with its stages, pipeline files,
# examples and default model; nothing of the build tree is used.
# needs: all c:python3 py:msgpack py:numpy py:zmq
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
# -o all: install what is built, with whatever flags it was built.
make -s -o all B="$BUILD" install DESTDIR="$dir/root" PREFIX=/usr > "$dir/log" 2>&1 || {
	cat "$dir/log"
	exit 1
}
usr=$dir/root/usr
share=$usr/share/facet
mkdir "$dir/work"
cd "$dir/work"
unset FACET_STAGES FACET_MODELS
"$usr/bin/facet" stages > stages
grep -q '^pose-rotator ' stages
grep -q '^pose-rotator.py ' stages
for f in "$share"/pipelines/*.yaml "$share"/examples/*.yaml; do
	[ -s "$f" ]
done
"$usr/bin/facet" run -q "$share/pipelines/render-clips.yaml" --set out=clips \
	--set heads=1 --set frames=3
"$usr/bin/facet" run -q "$share/pipelines/preprocess.yaml" --set videos=clips \
	--set out=pairs --set frames=2
[ "$(find pairs -name 'pose_*.png' | wc -l)" -eq 2 ]
# Stages in Python find facet.py, and so does who imports it.
[ -L "$usr/lib/python3/dist-packages/facet.py" ]
if "$PYTHON" -c '
import zmq, msgpack, numpy' 2> /dev/null; then
	"$usr/bin/facet" run -q "$share/examples/blur.yaml" --set heads=1 > log 2>&1 ||
		{ cat log; exit 1; }
fi
