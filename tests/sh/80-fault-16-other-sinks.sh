# Failures in sheet-writer, annotation-writer and clip-writer: counted and told,
# and what can be written is.
# needs: all
set -eu
root=$(pwd)
facet=$root/$BUILD/facet
stages=$root/$BUILD/stages
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"

fail() { echo "FAILED: $*" >&2; exit 1; }
has() { grep -qF -- "$2" "$1" || { cat "$1"; fail "no '$2' in $1"; }; }
status() { # the exit status of a command into $code
	code=0
	"$@" > out 2> err || code=$?
}

# A file stands where a folder belongs; another sheet, clip, annotation is fine.
item() { # NAME EXTRA..: one item of a tape
	echo "name=str:$1" snippet=str:x sample=i64:0 n_frames=i64:1 view=i64:0 n_views=i64:1 \
		frame_index=i64:0 "clip=str:$1/x" 'frame=u8[32,32,3]:ramp' 'generated=u8[32,32,3]:ramp' \
		'landmarks_true=f32[68,2]:ramp'
}
set -f
"$facet" tape make -o a.tape $(item shut) -- $(item fine)
set +f
for s in sheet-writer annotation-writer clip-writer; do
	mkdir "$s"
	: > "$s/shut"
	status sh -c '"$1/$2" --stdio --root "$2" < a.tape' sh "$stages" "$s"
	grep -q -e 'Not a directory' -e 'is not a folder' err || { cat err; fail "$s: why"; }
	case $s in
	sheet-writer)
		# its cells wait for a place: the run says which sheet it cannot write
		[ $code -eq 3 ] || { cat err; fail "$s: exit $code, not 3"; }
		has out '1 cells failed'
		has err "sheet of 'shut/x/0'"
		[ -s sheet-writer/fine/x/sheet_0.png ] || fail "the other sheet"
		rm sheet-writer/shut
		"$stages/$s" --stdio --root "$s" < a.tape > out
		[ -s sheet-writer/shut/x/sheet_0.png ] || fail "the sheet, once there is room" ;;
	annotation-writer)
		[ $code -eq 1 ] || { cat err; fail "$s: exit $code, not 1"; }
		has out '1 failed and stand in no table'
		has out '1 written'
		grep -q '^fine/x_00000.jpg' annotation-writer/index.csv || fail "the other row"
		[ "$(wc -l < annotation-writer/index.csv)" -eq 2 ] || fail "one row" ;;
	clip-writer)
		[ $code -eq 1 ] || { cat err; fail "$s: exit $code, not 1"; }
		has out 'clips: 1 written, 0 there already, 0 incomplete'
		has out 'clips: 1 could not be written; 1 frames failed'
		[ -s clip-writer/fine/x.mp4 ] || fail "the other clip" ;;
	esac
done

# Names as long as names may be: temporary files have room beside them.
n=$(printf '%0251d' 0)
set -f
"$facet" tape make -o long.tape name=str:n snippet=str:$(printf '%0241d' 0) "clip=str:$n" \
	sample=i64:0 frame_index=i64:0 n_frames=i64:1 'frame=u8[32,32,3]:ramp' 'landmarks_true=f32[68,2]:ramp'
set +f
"$stages/clip-writer" --stdio --root long < long.tape > out
[ -s "long/$n.mp4" ] || fail "a clip's name of 255 bytes"
"$stages/annotation-writer" --stdio --root long < long.tape > out
[ "$(find long/n -name '*.jpg' | wc -l)" -eq 1 ] || fail "a row's name of 255 bytes"
"$facet" tape cat -o "$(printf '%0255d' 0)" long.tape || fail "a tape's name of 255 bytes"
