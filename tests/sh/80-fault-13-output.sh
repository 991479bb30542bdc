# What commands print, and what files are called: a progress bar is kept to its
# last state and shown while it runs; control characters (C0, C1, what turns the
# direction of writing) do not reach the terminal.
# needs: all c:python3 py:msgpack py:zmq tests/stages
set -eu
modules='import zmq, msgpack, pty; pty.openpty()'
. "$PWD/tests/support/foreign.sh"
# Only printable bytes and line ends, and none of the C1 or bidi characters.
clean() {
	"$PYTHON" - "$@" <<'P' || fail "$*: what plays with terminals got through"
import sys
for name in sys.argv[1:]:
    text = open(name, "rb").read().decode()
    bad = [c for c in text if c != "\n" and (ord(c) < 32 or 127 <= ord(c) < 160 or
           ord(c) in (0x2028, 0x2029, *range(0x202a, 0x202f), *range(0x2066, 0x206a)))]
    assert not bad, bad
P
}
cat > bar.py <<'P'
import os, sys, time
if "--describe" in sys.argv:
    sys.exit(print("name: bar\nkind: transform\nhelp: x\nin: 'path str'\nout: 'path str'"))
import msgpack, zmq
s = zmq.Context().socket(zmq.PAIR)
s.connect(os.environ["FACET_ENDPOINT"])
e = sys.stderr
go = os.environ.get("GO")
while (h := msgpack.unpackb(s.recv_multipart()[0]))["kind"] != "end":
    for i in range(61):
        e.write(f"\rpictures {i:3d}/60 {'#' * (i // 3):20s}"); e.flush()
        if i == 30 and go:  # until the test has seen it
            while not os.path.exists(go): time.sleep(0.02)
    e.write("\n"); e.flush()
    e.write("\r 1 of 2\r 2 of 2\r        \r\n")          # wiped out: no line
    e.write("\x1b[1;31mred\x1b[0m and plain\r\n")           # colours go, text stays
    e.write("x" * 5000 + "\ry\n")                            # longer than the buffer
    print("\u009b31mC1 \u202eright to left\u202c \u2066isolate\u2069"); sys.stdout.flush()
    os.write(1, b"latin-1 csi \x9b31m and half a character \xe2\x82\n")
    e.write("no line end"); e.flush()
    s.send(msgpack.packb({"v": 1, "id": h["id"], "kind": "report", "fields": {"text": "a \u009b2J report\x07"}}))
    if "bad" in h["fields"]["path"]:
        s.send(msgpack.packb({"v": 1, "id": h["id"], "kind": "fail", "fields": {
            "error_text": "no \u009b good \x1b[2J", "error_trace": "one\n\u009b31mtwo\r\n"}}))
        continue
    for kind in ("item", "done"):
        s.send(msgpack.packb({"v": 1, "id": h["id"], "kind": kind, "fields": {"path": h["fields"]["path"]} if kind == "item" else {}}))
P
cat > p.yaml <<Y
version: 1
dead: dead
stages:
  catalog: {run: catalog, with: {root: pics, media: pictures}}
  bar: {run: "$PYTHON bar.py", from: catalog}
  sink: {run: t-tape, from: bar, with: {file: o.tape}}
Y
mkdir pics
"$facet" tape make img=u8\[8,8,3\]:ramp -o t.tape
"$facet" tape get t.tape img -o pics/good.png 2> err || fail "no picture"
got=0
"$facet" run p.yaml > out 2> err || got=$?
[ $got -eq 0 ] || [ $got -eq 1 ] || fail "exit status $got"
clean out err
[ "$(grep -c '^bar: pictures' err)" -eq 1 ] || fail "not one line for the bar"
grep -q '^bar: pictures  60/60 ####################' err || fail "not its last state"
! grep -q 'of 2' err || fail "a bar that was wiped out"
grep -q '^bar: red and plain$' err || fail "colours"
grep -q '^bar: y$' err || fail "a long line"
grep -q '^bar: ??31mC1 ???right to left??? ???isolate???$' err || fail "C1, bidi"
grep -q '^bar: latin-1 csi ?31m and half a character ??$' err || fail "bytes"
grep -q '^bar: no line end$' err || fail "no line end"
grep -q '^a ??2J report?$' out || fail "the report"
# The names of files, in the log, in errors and in dead letters.
cp pics/good.png "pics/bad $(printf '\302\233')31m$(printf '\342\200\256').png"
got=0
"$facet" run p.yaml > out 2> err || got=$?
[ $got -eq 1 ] || fail "bad: exit status $got"
clean out err dead/bar/*.txt
grep -q "failed: data: no ?? good ?\[2J" err || fail "the reason"
grep -q "^  ??31mtwo?*$" dead/bar/*.txt || fail "the trace"
echo "x" > "$(printf 'no\302\2332J.yaml')"
"$facet" check "$(printf 'no\302\2332J.yaml')" > out 2> err || true
clean out err

# On a terminal the bar's state is shown while it runs.
rm pics/bad*
cat > drive.py <<'P'
import fcntl, os, pty, re, struct, sys, termios
go, *argv = sys.argv[1:]
pid, fd = pty.fork()
if pid == 0:
    os.environ.update(TERM="xterm", GO=go)
    os.execv(argv[0], argv)
fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
out = b""
while True:
    try:
        b = os.read(fd, 65536)
    except OSError:
        break
    out += b
    if re.search(rb"\r\x1b\[K0/1  bar: pictures  30/60", out):
        open(go, "w").close()
status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
assert status == 0 and os.path.exists(go), (status, out)
text = re.sub(r"\r\x1b\[K|\r\n", "", out.decode())
assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text), out
P
"$PYTHON" drive.py go "$facet" run p.yaml > err 2>&1 || fail "terminal"
