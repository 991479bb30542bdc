# What evaluators write does not depend on the order in which items come, be it
# of pictures without names or of faces of one: stages before them may have
# replicas.
# needs: all
set -eu
facet=$PWD/$BUILD/facet stages=$PWD/$BUILD/stages
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
fail() { echo "FAILED: $*" >&2; exit 1; }
same() { # STAGE PARAMETER...: for in.tape both ways round
	for way in in back; do
		"$stages/$1" --stdio --csv $way.csv < $way.tape > $way.out 2> err ||
			{ cat err; fail "$1"; }
	done
	[ "$(wc -l < in.csv)" -eq 9 ] || { cat in.csv; fail "$1: lines"; }
	cmp in.csv back.csv || fail "$1: another order, another table"
	cmp in.out back.out || fail "$1: another order, another report"
}
turn() { # in.tape to back.tape, the other way round
	n=8
	: > list
	while [ $n -gt 0 ]; do
		n=$((n - 1))
		"$facet" tape cat --skip $n -n 1 in.tape > $n.tape
		echo $n.tape >> list
	done
	xargs "$facet" tape cat < list > back.tape
}
# Four without a name, one of them not found, and four of one picture.
items() { # FIELD...: of eight items, % being their number; !FIELD: one lacks it
	for i in 0 1 2 3 4 5 6 7; do
		[ $i -eq 0 ] || echo --
		[ $i -lt 4 ] || echo path=str:a.png
		for word; do
			case $word in
			'!'*) [ $i -eq 2 ] || echo "${word#!}" ;;
			*) echo "$word" ;;
			esac
		done | sed "s/%/$i/g"
	done > words
	xargs -d '\n' -a words "$facet" tape make -o in.tape
	turn
}
items 'yaw_true=f64:1%.7' '!yaw_deg=f64:3%.1' 'pitch_deg=f64:%.3' 'roll_deg=f64:0.%'
same pose-evaluator
items 'landmarks_true=f32[68,2]:noise 1' '!landmarks=f32[68,2]:noise 1%' 'score=f64:0.%'
same landmark-evaluator
items 'boxes_true=f32[1,4]:0,0,20,20' '!boxes=f32[1,4]:0,0,20,1%' '!box_scores=f32[1]:0.%' \
	'frame_index=i64:0'
same detection-evaluator
echo ok
