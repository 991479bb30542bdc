#!/bin/sh
# Run the short tests: every cmocka program in $BUILD/tests and every script
# tests/sh/NN-*.sh, $JOBS at a time; a summary closes. ONLY=pattern chooses by
# name, SKIP=pattern leaves out. Exit status 0 only if all passed. A script that
# exits 77 was skipped. No test has a time limit: tests/tools/run-test ends one
# that hangs or runs away, however slow the machine is, and one that leaves
# processes behind has failed.
set -u
BUILD=${BUILD:-build}
PYTHON=${PYTHON:-/usr/bin/python3}
JOBS=${JOBS:-$(nproc)}
ONLY=${ONLY:-}
SKIP=${SKIP:-}
# What is slow on a busy machine is no fault: limits of our own programs that
# a test does not set itself are out of the way.
FACET_START_TIMEOUT=3600 FACET_EXIT_TIMEOUT=3600
export BUILD PYTHON FACET_START_TIMEOUT FACET_EXIT_TIMEOUT
dir=$(mktemp -d "${TMPDIR:-/tmp}/facet-tests-XXXXXX") || exit 3
trap 'rm -rf "$dir"' EXIT
trap 'exit 130' INT TERM

# One test, in its own process: the log, and one line "passed failed skipped
# seconds name" in the results.
cat > "$dir/one" <<'S'
#!/bin/sh
dir=$1 test=$2
name=$(basename "$test")
start=$(date +%s%N)
# What a test that was ended has left there goes with it. A short name: sockets
# may be in it.
TMPDIR=$(mktemp -d "$dir/XXX") || exit 255
export TMPDIR
case $test in
*.sh) set -- sh "$test" ;;
*) set -- "$test" ;;
esac
"$BUILD/tests/tools/run-test" "$@" > "$dir/$name.log" 2>&1
rc=$?
rm -rf "$TMPDIR"
ms=$(( ($(date +%s%N) - start) / 1000000 ))
p=0 f=0 s=0
case $test in
*.sh)
	case $rc in
	0) p=1 ;;
	77) s=1 ;;
	*) f=1 ;;
	esac ;;
*)
	p=$(sed -n 's/^\[  PASSED  \] \([0-9]*\) test.*/\1/p' "$dir/$name.log" |
		awk '{n += $1} END {print n + 0}')
	f=$(sed -n 's/^ *\([0-9]*\) FAILED TEST.*/\1/p' "$dir/$name.log" |
		awk '{n += $1} END {print n + 0}')
	s=$(sed -n 's/^\[  SKIPPED \] \([0-9]*\) test.*/\1/p' "$dir/$name.log" |
		awk '{n += $1} END {print n + 0}')
	# A crash, or a program that ran nothing, is a failure.
	if [ $rc -ne 0 ] && [ "$f" -eq 0 ]; then f=1; fi
	if [ $((p + f + s)) -eq 0 ]; then f=1; fi ;;
esac
echo "$p $f $s $ms $name" >> "$dir/results"
word=ok; [ "$f" -gt 0 ] && word=FAILED
[ "$p" -eq 0 ] && [ "$f" -eq 0 ] && word=skipped
printf '%-8s %6d ms  %s\n' "$word" "$ms" "$name"
if [ "$f" -gt 0 ]; then
	echo "---- $name (exit status $rc), last 60 lines of its output"
	tail -n 60 "$dir/$name.log"
	echo "----"
elif [ "$p" -eq 0 ]; then
	tail -n 1 "$dir/$name.log" | sed 's/^/         /'
fi
S
: > "$dir/results"
for t in tests/test_*.c; do
	[ -f "$t" ] || continue
	echo "$BUILD/tests/$(basename "$t" .c)"
done > "$dir/list"
ls tests/sh/*.sh >> "$dir/list" 2>/dev/null
[ -n "$ONLY" ] && { grep -E -- "$ONLY" "$dir/list" > "$dir/l2"; mv "$dir/l2" "$dir/list"; }
[ -n "$SKIP" ] && { grep -vE -- "$SKIP" "$dir/list" > "$dir/l2"; mv "$dir/l2" "$dir/list"; }
xargs -P "$JOBS" -I{} sh "$dir/one" "$dir" {} < "$dir/list"

awk '{p += $1; f += $2; s += $3; ms += $4}
END {
	if (p + f == 0) { print "no test ran"; f = 1 }
	if (s) printf "%d passed, %d failed, %d skipped\n", p, f, s
	else printf "%d passed, %d failed\n", p, f
	exit f > 0
}' "$dir/results"
