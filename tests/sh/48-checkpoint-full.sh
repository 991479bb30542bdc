# A disk that is full: the trainer says which file and why, and the checkpoint
# that was there stays whole, with nothing beside it.
# needs: tests/stages
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
trainer=$BUILD/tests/stages/checkpoint-trainer
"$trainer" "$dir/first" 1 > /dev/null
# Room for one such file and a half.
size=$(($(wc -c < "$dir/first") * 3 / 2))
mkdir "$dir/disk"
unshare -rm mount -t tmpfs -o size=$size none "$dir/disk" 2> /dev/null || {
	echo "no disk of our own to be had (unshare -rm)"
	exit 77
}
unshare -rm sh -eu -c '
	mount -t tmpfs -o size=$2 none "$1/disk"
	rc=0
	"$3" "$1/disk/run.ckpt" 5 > "$1/said" 2> "$1/errors" || rc=$?
	[ "$rc" -eq 1 ]
	[ "$(ls -A "$1/disk")" = run.ckpt ]
	cmp "$1/disk/run.ckpt" "$1/first"
' sh "$dir" $size "$trainer" || { cat "$dir/said" "$dir/errors"; exit 1; }
printf 'from 0\n1\n' | cmp - "$dir/said"
grep -q "run.ckpt.*No space left on device" "$dir/errors" || {
	cat "$dir/errors"
	exit 1
}
