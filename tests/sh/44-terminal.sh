# On a terminal: one line with a bar, done/total, rate, time left and failures,
# removed at the end; ^C typed there stops the run.
# needs: all c:python3 tests/stages
set -eu
"$PYTHON" -c 'import pty; pty.openpty()' 2> /dev/null || {
	echo "no pseudo terminals here"
	exit 77
}
facet=$PWD/$BUILD/facet
export FACET_STAGES="$PWD/$BUILD/tests/stages"
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cat > "$dir/p.yaml" <<Y
version: 1
vars: {n: 250}
dead: $dir/dead
stages:
  src: {run: t-count, with: {n: "\${n}"}}
  work: {run: t-work, from: src, with: {fail-every: 10, sleep-ms: 5}}
  sink: {run: t-collect, from: work, with: {file: $dir/lines}}
Y
cat > "$dir/status.yaml" <<Y
version: 1
stages:
  src: {run: t-count, with: {n: 1000000000, sleep-ms: 5, expect: false}}
  sink: {run: t-sated, from: src, with: {enough: 0, word: "$(printf '%0150d' 7) item"}}
Y
cat > "$dir/drive.py" <<'P'
import fcntl, os, pty, re, struct, sys, termios
def size(fd, columns):
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
def run(enough, *argv, narrow=0):
    """The exit status and all that was shown. ^C is typed once `enough` says so
    of what was shown so far (None: never); the terminal becomes `narrow` columns
    wide once some bars were shown."""
    pid, fd = pty.fork()
    if pid == 0:
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
        os.environ["TERM"] = "xterm"
        os.execv(argv[0], argv)
    out = b""
    while True:
        try:
            b = os.read(fd, 65536)
        except OSError:
            break
        if not b:
            break
        out += b
        if enough and enough(out.decode(errors="replace")):
            os.write(fd, b"\x03")
            enough = None
        if narrow and out.count(b"left") > 3:
            size(fd, narrow)
            out += b"<<narrow>>"
            narrow = 0
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), out.decode()
BAR = (r"\[=*>? *\] \d+/1000000  \d+ %  [\d.]+/s  [\d:]+ left"
       r"[^\r\n\x1b]*")
facet, pipeline, speaks = sys.argv[1:]
# A run to its end, however many lines it has time to show.
status, out = run(None, facet, "run", pipeline)
assert status == 1, (status, out)
assert out.rstrip().splitlines()[-1].endswith("dead"), out
assert "\x1b" not in out[out.rindex("stage "):], "the bar stays"
# One that goes on until its bar has shown all that it can.
status, out = run(lambda out: len(re.findall(BAR, out)) >= 4 and
                  re.search(BAR + "failed", out),
                  facet, "run", pipeline, "--set", "n=1000000")
assert status == 130, (status, out)
assert "stopping (interrupted)" in out, out
bars = re.findall(BAR, out)
assert all(len(b) < 100 for b in bars), bars
# A terminal that is made narrower meanwhile: the bar that broke is removed, the
# next ones and the table fit.
status, out = run(None, facet, "run", pipeline, "--set", "n=600", narrow=60)
late = out[out.index("<<narrow>>"):]
assert "\x1b[A\x1b[K" in late, late
bars = re.findall(r"\[=*>? *\] \d+/600[^\r\n\x1b]*", late[late.index("\x1b[A"):])
assert bars and all(len(b) < 60 for b in bars), bars
table = late[late.rindex("stage "):].splitlines()
assert len(table) >= 4 and all(len(x) <= 60 for x in table[:4]), table
# A stage that says where it stands: that, cut to the line, in the bar's place.
status, out = run(lambda out: len(re.findall(r"0{90,}\x1b?", out)) >= 4, facet,
                  "run", speaks)
lines = re.findall(r"0{90,}", out[:out.index("stopping")])
assert status == 130 and max(map(len, lines)) == 99, out
P
"$PYTHON" "$dir/drive.py" "$facet" "$dir/p.yaml" "$dir/status.yaml"
