# A result that could not be written is status 3 and says so, whoever prints it:
# each verb, each stage, --help; to a full disk, to a closed standard output, to
# a reader that has gone. No tape goes to a terminal, none is begun in vain.
# needs: all c:python3 tests/stages
set -eu
facet=$PWD/$BUILD/facet
stages=$PWD/$BUILD/stages
tests=$PWD/$BUILD/tests/stages
pipelines=$PWD/pipelines
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"

fail() { echo "FAILED: $*" >&2; exit 1; }
# lost COMMAND...: status 3 and one line of reason with a full disk and with
# standard output closed; no other status than 0 with a file
lost() {
	"$@" > out 2> /dev/null || fail "status $?: $*"
	[ -s out ] || fail "prints nothing: $*"
	for to in full closed; do
		got=0
		if [ $to = full ]; then
			"$@" > /dev/full 2> said || got=$?
		else
			"$@" >&- 2> said || got=$?
		fi
		[ "$got" -eq 3 ] || { cat said; fail "status $got, $to: $*"; }
		[ "$(grep -c 'cannot write' said)" -eq 1 ] ||
			{ cat said; fail "not said once, $to: $*"; }
	done
}

"$stages/head-renderer" --stdio --heads 1 --frames 2 --size 64 > a.tape
lost "$facet" --help
lost "$facet" --version
for verb in bench check graph import-torch model new run stages tape; do
	lost "$facet" "$verb" --help
	lost "$facet" help "$verb"
done
cat > p.yaml <<'Y'
version: 1
stages:
  heads: {run: head-renderer, with: {heads: 1, frames: 2, size: 64}}
  error: {run: landmark-evaluator, from: points}
  points: {run: landmarker, from: heads}
Y
lost "$facet" check p.yaml
lost "$facet" check -v p.yaml
lost "$facet" graph p.yaml
lost "$facet" run --dry-run p.yaml
lost "$facet" run -q p.yaml
lost "$facet" stages
lost "$facet" stages landmarker
lost "$facet" tape cat a.tape
lost "$facet" tape show a.tape
lost "$facet" tape show --json --full a.tape
lost "$facet" tape get a.tape name
lost "$facet" tape make x=i64:1
lost "$stages/landmarker" --help
lost "$stages/landmarker" --man
lost "$stages/landmarker" --describe
lost "$stages/head-renderer" --stdio --heads 1 --frames 1 --size 64
points() { "$stages/landmarker" --stdio < a.tape > b.tape; }
points
evaluate() { "$stages/landmark-evaluator" --stdio < b.tape; }
lost evaluate

# The fault as it was found, and that the results are not lost with the run.
got=0
"$facet" run -q "$pipelines/steadiness.yaml" --set heads=1 --set frames=3 \
	> /dev/full 2> said || got=$?
[ "$got" -eq 3 ] || { cat said; fail "steadiness: status $got"; }
"$facet" run -q "$pipelines/steadiness.yaml" --set heads=1 --set frames=3 > want
while read -r line; do
	grep -qF -- "$line" said || { cat said; fail "lost: $line"; }
done < want
# ... nor written where a file of the run has got the closed stream's number.
FACET_STAGES=$tests
export FACET_STAGES
cat > q.yaml <<'Y'
version: 1
stages:
  src: {run: t-count, with: {n: 5}}
  sink: {run: t-collect, from: src, with: {file: lines}}
Y
"$facet" run q.yaml > /dev/null 2>&1
cp lines want
rm lines
got=0
"$facet" run q.yaml >&- 2> said || got=$?
[ "$got" -eq 3 ] || { cat said; fail "closed: status $got"; }
cmp lines want

# The log, when it was asked for.
got=0
"$facet" run -q q.yaml --log /dev/full > /dev/null 2> said || got=$?
[ "$got" -eq 3 ] || { cat said; fail "log: status $got"; }
[ "$(grep -c 'cannot write' said)" -eq 1 ] || { cat said; fail "log: not once"; }
# A reader that goes: the run is done, and says that its results are not.
rm -f lines
got=0
"$PYTHON" - "$facet" run q.yaml 2> said <<'P' || got=$?
import os, subprocess, sys
read, write = os.pipe()
os.close(read)
sys.exit(subprocess.call(sys.argv[1:], stdout=write, stdin=subprocess.DEVNULL))
P
[ "$got" -eq 3 ] || { cat said; fail "pipe: status $got"; }
cmp lines want
grep -q 'Broken pipe' said || { cat said; fail "pipe: no reason"; }

# What fails before its first item leaves no beginning of a tape.
: > empty
for s in "$stages/landmarker --stdio" "$facet tape cat"; do
	got=0
	$s < empty > out 2> said || got=$?
	[ "$got" -eq 3 ] || { cat said; fail "status $got: $s"; }
	[ ! -s out ] || fail "began a tape: $s"
done
got=0
"$facet" tape make x=f32:none > out 2> said || got=$?
[ "$got" -ne 0 ] && [ ! -s out ] || fail "tape make began a tape"

# No tape to a terminal.
"$PYTHON" -c 'import pty; pty.openpty()' 2> /dev/null || exit 0
cat > drive.py <<'P'
import os, pty, sys
pid, fd = pty.fork()
if pid == 0:
    os.execv(sys.argv[1], sys.argv[1:])
out = b""
while True:
    try:
        b = os.read(fd, 65536)
    except OSError:
        break
    if not b:
        break
    out += b
status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
assert status == 2 and b"is a terminal" in out and b"FACETTP" not in out, \
    (status, out)
P
"$PYTHON" drive.py "$stages/head-renderer" --stdio --heads 1
"$PYTHON" drive.py "$stages/landmark-evaluator" --stdio --acks
"$PYTHON" drive.py "$facet" tape make x=i64:1
"$PYTHON" drive.py "$facet" tape cat a.tape
