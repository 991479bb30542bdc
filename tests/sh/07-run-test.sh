# The tool that runs each test: exit statuses, a test that hangs, one that runs
# away, what is left behind, signals.
# needs: tests/tools/run-test
set -eu
tool=$PWD/$BUILD/tests/tools/run-test
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
fail() { echo "FAILED: $*" >&2; cat said >&2; exit 1; }
# gives STATUS [OPTION...] COMMAND...: what it says is in said
gives() {
	want=$1 got=0
	shift
	"$tool" "$@" > said 2>&1 || got=$?
	[ "$got" -eq "$want" ] || fail "status $got, not $want: $*"
}
says() { grep -q -- "$1" said || fail "no '$1'"; }
gone() { # what wrote its pid to FILE lives no more
	for f; do
		if kill -0 "$(cat "$f")" 2> /dev/null; then fail "$f lives"; fi
		rm "$f"
	done
}

# The test's status and output; a signal as a shell would tell it.
for s in 0 1 77 200; do gives $s sh -c "echo out; echo err >&2; exit $s"; done
[ "$(cat said)" = "out
err" ] || fail "output"
gives 143 sh -c 'kill -TERM $$'
gives 137 sh -c 'kill -KILL $$'
gives 127 "$dir/none"
says "cannot run '.*/none': No such file"
gives 125
gives 125 --hung 0 true
gives 125 --slow true
# It leads a session, and signals that we ignore are no business of its.
gives 0 awk '{exit !($6 == $1)}' /proc/self/stat
(trap '' INT QUIT; gives 130 sh -c 'kill -INT $$; exit 0') || exit 1

# A hang: all that is alive is named, whatever its session, and killed.
gives 124 --hung 2 sh -c '
	sh -c "echo \$\$ > one; exec sleep 1000" &
	setsid sh -c "echo \$\$ > two; exec sleep 2000" &
	(setsid sh -c "echo \$\$ > three; exec sleep 3000" &)
	wait'
says '^run-test: it hangs: idle in 2 of the last 2 seconds; alive were:$'
for n in 1000 2000 3000; do says "^  pid [0-9]* .*state S .*  sleep $n\$"; done
says "^    thread [0-9]* 'sleep'  state S  wchan "
gone one two three

# One that works, or would if the machine let it, does not hang, however long;
# children that come and go count too.
gives 5 --hung 1 nice -n 19 awk 'BEGIN {while (i++ < 3e7) x += i; exit 5}'

# Too much CPU time, in one process or in many short ones.
gives 124 --cpu 1 sh -c 'echo $$ > one; while :; do :; done'
says '^run-test: it ran away: [0-9]* s of CPU time, 1 are its limit; alive'
says '^  pid [0-9]* .*state R .*while :; do'
gone one
gives 124 --cpu 1 sh -c 'while :; do awk "BEGIN {while (i++ < 1e5) x += i}"; done'
says 'ran away'

# What outlives a test makes it fail; a failure keeps its own status.
leave='setsid sh -c "echo \$\$ > one; exec sleep 1000" & until [ -s one ]; do :; done;'
for s in 0:123 77:123 5:5; do
	gives "${s#*:}" sh -c "$leave exit ${s%:*}"
	says "^run-test: it ended with status ${s%:*} and left 1 process behind:\$"
	says '^  pid [0-9]* .*  sleep 1000$'
	gone one
done
# What dies with it has not outlived it.
gives 0 sh -c 'sleep 1000 & p=$!; sleep 1000 & kill -9 $!; kill $p; exit 0'

# Told to end, it takes all along.
for signal in HUP:1 INT:2 TERM:15; do
	s=${signal%:*}
	env --default-signal=INT "$tool" sh -c '
		setsid sh -c "echo \$\$ > two; exec sleep 1000" &
		echo $$ > one; wait' > said 2>&1 &
	pid=$!
	until [ -s one ] && [ -s two ]; do :; done
	kill -$s $pid
	got=0
	wait $pid || got=$?
	[ $got -eq $((128 + ${signal#*:})) ] ||
		fail "SIG$s: status $got"
	gone one two
done
# Killed, it takes at least the test itself along.
"$tool" sh -c 'echo $$ > one; exec sleep 1000' > said 2>&1 &
pid=$!
until [ -s one ]; do :; done
kill -9 $pid
wait $pid || true
while kill -0 "$(cat one)" 2> /dev/null; do :; done
