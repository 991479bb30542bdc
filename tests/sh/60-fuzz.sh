# Every fuzz target over its committed corpus and over the same few thousand
# changed copies each time. `make fuzz` goes on from there with libFuzzer.
# needs: fuzzers
set -eu
root=$(pwd)
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir" # where a crash would be written
status=0
for source in "$root"/tests/fuzz/fuzz_*.c; do
	name=$(basename "$source" .c)
	corpus=$root/tests/fuzz/corpus/${name#fuzz_}
	"$root/$BUILD/fuzz/$name" --mutate 3000 1 "$corpus" > out.txt 2>&1 || {
		status=1
		echo "$name:"
		tail -n 40 out.txt
		# to be had from the log: the tests leave no files behind
		[ -e "crash-$name" ] && od -An -tx1 -v "crash-$name" | head -n 64
	}
done

# The driver itself: a wrong call, and a folder without files.
got=0
"$root/$BUILD/fuzz/fuzz_wire" > out.txt 2>&1 || got=$?
[ "$got" -eq 2 ] || { echo "no arguments: exit $got"; status=1; }
mkdir none
got=0
"$root/$BUILD/fuzz/fuzz_wire" none > out.txt 2>&1 || got=$?
[ "$got" -eq 1 ] || { echo "no files: exit $got"; status=1; }
exit $status
