# The Makefile: flags as packagers give them, folders with blanks and of one's
# own, and a list of the targets.
# needs: all
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
fail() {
	echo "FAILED: $*" >&2
	exit 1
}
make -n B="$dir/new" CPPFLAGS=-DFLAG_P CFLAGS=-DFLAG_C LDFLAGS=-Wl,-FLAG_L \
	"$dir/new/facet" > "$dir/lines"
grep -q 'DFLAG_P .*-c lib/base/mem.c' "$dir/lines" || fail "CPPFLAGS do not arrive"
grep -q 'DFLAG_C .*-c lib/base/mem.c' "$dir/lines" || fail "CFLAGS do not arrive"
grep -q 'FLAG_L' "$dir/lines" || fail "LDFLAGS do not arrive"

make -s -o all B="$BUILD" install DESTDIR="$dir/a b" PREFIX='/usr c' > "$dir/log" 2>&1 ||
	fail "$(cat "$dir/log")"
"$dir/a b/usr c/bin/facet" stages | grep -q '^pose-rotator ' ||
	fail "what is installed under a name with blanks does not find its stages"
make -n -o all B="$dir/new" install bindir=/b libexecdir=/l/multi datadir=/d \
	DESTDIR="$dir/x" > "$dir/lines"
for f in b l/multi/facet d/facet/models; do
	grep -q "\"$dir/x/$f\"\|\"$dir/x/${f%/*}\"/${f##*/}" "$dir/lines" || fail "no $f"
done

make help > "$dir/help"
for t in all check check-built tests benches fuzzers fuzz asan tsan install deps \
	demo bench-nn; do
	grep -q "^  $t  " "$dir/help" || fail "'make help' does not list $t"
done
