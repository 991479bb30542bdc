#!/bin/sh
# needs.sh goals|packages: what the tests that ONLY and SKIP choose (as
# tests/run.sh does) need: make's goals, in $BUILD, or what scripts/deps.sh must
# find. A script says so in its line "# needs: WORD..": a goal (all, facet,
# benches, fuzzers, or the path of a program below $BUILD), or py:MODULE, c:COMMAND
# of deps.sh's tables. tests/sh/07-needs.sh keeps these lines honest.
set -u
BUILD=${BUILD:-build}
what=${1:-goals}
case $what in
goals | packages) ;;
*)
	echo "usage: needs.sh goals|packages" >&2
	exit 2
	;;
esac

chosen() {
	for t in tests/test_*.c; do
		echo "$BUILD/tests/$(basename "$t" .c)"
	done
	ls tests/sh/*.sh
}

one() {
	case $1 in
	*.sh) words=$(sed -n -e '/^#/!q' -e 's/^# needs://p' "$1") || return ;;
	*) words="${1#"$BUILD"/} pc:cmocka" ;;
	esac
	for w in $words; do
		case $what:$w in
		goals:*:*) ;;
		packages:*:*) echo "$w" ;;
		goals:all | goals:benches | goals:fuzzers | goals:tests) echo "$w" ;;
		goals:tests/stages) # all that only tests use
			for s in tests/stages/*.c; do
				echo "$BUILD/tests/stages/$(basename "$s" .c)"
			done ;;
		goals:*) echo "$BUILD/$w" ;;
		esac
	done
}

chosen | { if [ -n "${ONLY:-}" ]; then grep -E -- "$ONLY"; else cat; fi; } |
	{ if [ -n "${SKIP:-}" ]; then grep -vE -- "$SKIP"; else cat; fi; } |
	while read -r t; do one "$t"; done | sort -u
