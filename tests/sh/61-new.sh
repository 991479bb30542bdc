# facet new: for each kind, the stage compiles without a warning under the
# project's flags, is formatted as the project's files are, and passes the
# test written with it. Nothing is overwritten; names are checked.
# needs: facet
set -eu
facet=$PWD/$BUILD/facet
repo=$PWD
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

fail() { echo "FAILED: $*" >&2; exit 1; }

# A copy of the tree's skeleton that shares its sources and this build.
mkdir -p "$dir/stages" "$dir/tests/sh" "$dir/b/stages"
ln -s "$repo/lib" "$dir/lib"
cp "$repo/Makefile" "$dir/Makefile"
ln -s "$repo/scripts" "$dir/scripts"
cd "$dir"
ln -s "$repo/$BUILD/facet" b/facet
cp "$repo/$BUILD/libfacet.a" b/libfacet.a

# An archive made under a sanitizer wants the stage made so too.
if nm b/libfacet.a 2> /dev/null | grep -q __asan_init; then
	san="-fsanitize=address,undefined -fno-omit-frame-pointer"
elif nm b/libfacet.a 2> /dev/null | grep -q __tsan_init; then
	san="-fsanitize=thread"
else
	san=
fi

for kind in transform source sink; do
	"$facet" new my-$kind --kind $kind > said
	grep -q "stages/my-$kind.c: the stage" said || fail "said nothing"
	# The archive is given (-o): only the new stage is compiled.
	MAKEFLAGS='' make --no-print-directory B=b OPT="-O1 -g" SAN="$san" WERROR=1 \
		-o b/libfacet.a b/stages/my-$kind > log 2>&1 ||
		{ cat log; fail "my-$kind does not compile"; }
	! grep -q warning log || { cat log; fail "my-$kind: warnings"; }
	BUILD=b sh "tests/sh/50-stage-my-$kind.sh" > log 2>&1 ||
		{ cat log; fail "the test of my-$kind fails"; }
	if command -v clang-format > /dev/null; then
		clang-format --style=file:"$repo/.clang-format" --dry-run -Werror \
			"stages/my-$kind.c" || fail "my-$kind.c is not formatted"
	fi
done
FACET_STAGES=b/stages "$facet" stages | grep -q '^my-sink  *sink  *Writes' ||
	fail "not listed"

answers() { # answers TEXT ARGUMENT...: exit status 2 and that text
	text=$1 rc=0
	shift
	"$facet" new "$@" > said 2>&1 || rc=$?
	[ "$rc" -eq 2 ] || { cat said; fail "exit status $rc: new $*"; }
	grep -qF -- "$text" said || { cat said; fail "no '$text': new $*"; }
}
answers "'./stages/my-sink.c' is there already" my-sink --kind source
answers "not a stage name" My-stage
answers "not a stage name" ../evil
answers "not a stage name" ''
answers "not a stage name" a--b
answers "no kind 'filter'" x --kind filter
answers "did you mean '--kind'" x --kin=sink
answers "not facet's source tree" x -C /nowhere
answers "no NAME given"
[ ! -e stages/x.c ] || fail "a refused call wrote a file"
# The test's file is in the way: the stage is not written either.
: > tests/sh/50-stage-late.sh
answers "50-stage-late.sh' is there already" late
[ ! -e stages/late.c ] || fail "half a stage was written"
