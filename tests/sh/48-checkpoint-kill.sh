# Kill -9 a trainer that saves after every step, KILLS times at random moments
# (and on until one step is done: on a busy machine that may take longer):
# its checkpoint is always whole and as new as it said, what a killed save left
# goes with the next one, and it ends with the bytes of a run that nobody
# disturbed. tests/long/kill-checkpoint.sh does it more often.
# needs: tests/stages
set -eu
KILLS=${KILLS:-6}
trainer=$BUILD/tests/stages/checkpoint-trainer
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
fail() { echo "FAILED: $*" >&2; exit 1; }
mkdir "$dir/killed" "$dir/calm"
ckpt=$dir/killed/run.ckpt
leftovers() { find "$dir/killed" -name '.tmp-*' | wc -l; }

kills=0 hits=0 at=0
while [ "$kills" -lt "$KILLS" ] || { [ "$at" -eq 0 ] && [ "$kills" -lt 500 ]; }; do
	kills=$((kills + 1))
	"$trainer" "$ckpt" 1000000 > "$dir/said" 2> "$dir/errors" &
	pid=$!
	sleep "$(awk -v s="$(od -An -N2 -tu2 /dev/urandom)" 'BEGIN {print 0.05 + s / 65536 * 0.4}')"
	kill -9 $pid
	rc=0
	wait $pid 2> /dev/null || rc=$?
	[ $rc -eq 137 ] || { cat "$dir/errors"; fail "status $rc before kill $kills"; }
	left=$(leftovers)
	[ "$left" -le 1 ] || fail "$left files left behind after kill $kills"
	hits=$((hits + left))
	# The step that was said last is in the file, or the one after.
	said=$(sed -n '$s/^from //; $p' "$dir/said")
	[ -n "$said" ] || said=$at
	from=$("$trainer" "$ckpt" 0) || fail "the file is damaged after kill $kills"
	at=${from#from }
	[ "$at" -eq "$said" ] || [ "$at" -eq $((said + 1)) ] ||
		fail "$said steps were saved, the file holds $at"
done
[ "$at" -gt 0 ] || fail "not one step in $kills rounds"

last=$((at + 3))
"$trainer" "$ckpt" $last > /dev/null
[ "$(leftovers)" -eq 0 ] || fail "a later save leaves $(leftovers) old files"
"$trainer" "$dir/calm/run.ckpt" $last 1000000 > /dev/null
cmp "$ckpt" "$dir/calm/run.ckpt" || fail "the killed run ends elsewhere"
[ "$KILLS" -lt 20 ] || [ "$hits" -gt 0 ] || fail "no kill came during a save"
echo "$last steps, killed $kills times, $hits of them during a save: the same bytes"
