# On a terminal: one line with a bar, done/total, rate, time left and failures,
# removed at the end; ^C typed there stops the run.
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
  src: {run: t-count, with: {n: 250, sleep-ms: 5}}
  sink: {run: t-sated, from: src, with: {enough: 0, word: "$(printf '%0150d' 7) item"}}
Y
cat > "$dir/drive.py" <<'P'
import fcntl, os, pty, re, struct, sys, termios
def size(fd, columns):
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
def run(interrupt, *argv, narrow=0):
    pid, fd = pty.fork()
    if pid == 0:
        os.environ["TERM"] = "xterm"
        os.execv(argv[0], argv)
    size(fd, 100)
    out = b""
    while True:
        try:
            b = os.read(fd, 65536)
        except OSError:
            break
        if not b:
            break
        out += b
        if interrupt and b"[" in out and b"/s" in out:
            os.write(fd, b"\x03")
            interrupt = False
        if narrow and out.count(b"left") > 3:
            size(fd, narrow)
            out += b"<<narrow>>"
            narrow = 0
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), out.decode()
facet, pipeline, speaks = sys.argv[1:]
status, out = run(False, facet, "run", pipeline)
bars = re.findall(r"\[=*>? *\] \d+/250  \d+ %  [\d.]+/s  \d+:\d\d left[^\r\n\x1b]*", out)
assert status == 1, (status, out)
assert len(bars) >= 3, out
assert any("failed" in b for b in bars), bars
assert all(len(b) < 100 for b in bars), bars
assert out.rstrip().splitlines()[-1].endswith("dead"), out
assert "\x1b" not in out[out.rindex("stage "):], "the bar stays"
status, out = run(True, facet, "run", pipeline, "--set", "n=1000000")
assert status == 130, (status, out)
assert "stopping (interrupted)" in out, out
# A terminal that is made narrower meanwhile: the bar that broke is removed, the
# next ones and the table fit.
status, out = run(False, facet, "run", pipeline, "--set", "n=600", narrow=60)
late = out[out.index("<<narrow>>"):]
assert "\x1b[A\x1b[K" in late, late
bars = re.findall(r"\[=*>? *\] \d+/600[^\r\n\x1b]*", late[late.index("\x1b[A"):])
assert bars and all(len(b) < 60 for b in bars), bars
table = late[late.rindex("stage "):].splitlines()
assert len(table) >= 4 and all(len(x) <= 60 for x in table[:4]), table
# A stage that says where it stands: that, cut to the line, in the bar's place.
status, out = run(False, facet, "run", speaks)
lines = re.findall(r"0{90,}", out[:out.index("had enough")])
assert status == 0 and len(lines) >= 3 and max(map(len, lines)) == 99, out
P
timeout 60 "$PYTHON" "$dir/drive.py" "$facet" "$dir/p.yaml" "$dir/status.yaml"
