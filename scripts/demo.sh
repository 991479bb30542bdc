#!/bin/sh
# demo.sh: the main job from nothing. Three rendered heads become clips, the
# clips become stored pairs of frame and pose, one picture becomes 25 views.
# Called by `make demo`; facet itself sees what is there already and what is out
# of date.
# BUILD: the build folder; OUT: where to write (out/demo); DEMO_FRAMES: frames
# of a clip.
set -eu
facet=${BUILD:-build}/facet
out=${OUT:-out/demo}
[ -x "$facet" ] || { echo "demo: no '$facet': run \`make\` first" >&2; exit 3; }

step() { printf '\n== %s\n' "$*"; }
run() { # run FILE SETTING...: stop the demo if the run broke
	file=$1
	shift
	code=0
	"$facet" run "$file" "$@" || code=$?
	[ $code -le 1 ] || { echo "demo: $file ended with status $code" >&2; exit $code; }
	[ $code -eq 0 ] || echo "demo: some items failed; see the lines above" >&2
}

step "1. Three heads, drawn by facet itself, as short clips"
run pipelines/render-clips.yaml --set out="$out/clips" --set heads=3 \
	--set frames="${DEMO_FRAMES:-25}"

step "2. Five frames of each clip: find 68 landmarks, draw the pose, store both"
run pipelines/preprocess.yaml --set videos="$out/clips" --set out="$out/pairs"

step "3. The most frontal of these frames, turned to 25 poses"
# the frame that looks straightest into the camera, eyes open: the nose's tip
# (point 30) nearest to the middle of the jaw's ends (0, 16), lids (37, 41)
# apart by at least a third of the eye's width (36, 39); point k is line k + 2
frame=$(find "$out/pairs" -name 'landmarks_*.csv' | sort | while read -r f; do
	awk -F, -v f="$f" 'NR > 1 {x[NR - 2] = $1; y[NR - 2] = $2} END {
		d = (x[30] - (x[0] + x[16]) / 2) / (x[16] - x[0])
		open = (y[41] - y[37]) / (x[39] - x[36])
		print (d < 0 ? -d : d) + (open < 0.33 ? 0.33 - open : 0) * 3, f}' "$f"
done | sort -g | head -n 1 | sed 's/^[^ ]* //; s/landmarks_\([0-9]*\).csv$/frame_\1.jpg/')
[ -f "$frame" ] || { echo "demo: no frame was stored in $out/pairs" >&2; exit 1; }
picture=$out/pictures/head/portrait.${frame##*.}
mkdir -p "${picture%/*}"
cmp -s "$frame" "$picture" || cp "$frame" "$picture"
sheet=$out/views/head/${picture##*/}/sheet_0.png
run pipelines/augment.yaml --set pictures="$out/pictures" --set out="$out/views"
[ -f "$sheet" ] || { echo "demo: no sheet was made: $sheet" >&2; exit 1; }

at=$(cd "$out" && pwd)
cat <<E2

Done. Look at these pictures (all are synthetic, no real person is shown):

  the 25 views on one sheet     $at/${sheet#"$out"/}
  each view by itself           $at/views/head/${picture##*/}/view_0_00.png ... view_0_24.png
  a frame and its pose picture  $at/${frame#"$out"/}
                                $at/$(echo "${frame#"$out"/}" | sed 's/frame_\([0-9]*\)\..*/pose_\1.png/')
  the clips                     $at/clips/
  what was stored, line by line $at/pairs/index.csv

With clips of your own:     $facet run pipelines/preprocess.yaml --set videos=FOLDER --set out=out/pairs
With pictures of your own:  $facet run pipelines/augment.yaml --set pictures=FOLDER --set out=out/views
E2
