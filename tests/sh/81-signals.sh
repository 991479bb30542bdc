# SIGHUP stops a run as SIGTERM does, unless nohup wants it ignored; ^Z stops
# the stages too, and they go on with the runner.
# needs: all c:python3 tests/stages
set -eu
facet=$PWD/$BUILD/facet
export FACET_STAGES="$PWD/$BUILD/stages:$PWD/$BUILD/tests/stages"
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
mkdir run
export XDG_RUNTIME_DIR="$dir/run"
fail() {
	echo "FAILED: $*" >&2
	tail -n 20 err >&2
	exit 1
}
cat > p.yaml <<Y
version: 1
vars: {n: 1000000, limit: 60}
stages:
  src: {run: t-count, with: {n: "\${n}", sleep-ms: 10}}
  work: {run: t-work, from: src, with: {sleep-ms: 10}, time-limit: "\${limit}"}
  sink: {run: t-collect, from: work, with: {file: lines}}
Y
cat > drive.py <<'P'
import os, signal, subprocess, sys, time
facet, = sys.argv[1:]
def start(*more, **how):
    if os.path.exists("lines"):
        os.unlink("lines")
    # A group of its own in this session, as a shell with jobs starts it.
    p = subprocess.Popen([facet, "run", "p.yaml", *more], stderr=open("err", "w"),
                         stdout=open("out", "w"), preexec_fn=lambda: (os.setpgid(0, 0), [signal.signal(*k) for k in how.get("signals", [])]))
    return p
def until(what, true):
    for _ in range(6000):
        if true():
            return
        time.sleep(0.02)
    sys.exit("not within two minutes: " + what)
def children(pid):
    parents = {}
    for d in os.listdir("/proc"):
        try:
            if d.isdigit():
                parents[int(d)] = int(open("/proc/%s/stat" % d).read().rsplit(")", 1)[1].split()[1])
        except OSError:
            pass
    found = [pid]
    for f in found:
        found += [k for k, v in parents.items() if v == f]
    return found[1:]
def state(pid):
    return open("/proc/%d/stat" % pid).read().rsplit(")", 1)[1].split()[0]
def grown():
    n = os.path.getsize("lines") if os.path.exists("lines") else 0
    return n
p = start()
until("items", lambda: grown() > 40)
p.send_signal(signal.SIGHUP)
assert p.wait() == 129, p.returncode
assert "stopping (the terminal is gone)" in open("err").read()
p = start("--set", "n=600", signals=[(signal.SIGHUP, signal.SIG_IGN)])
until("items", lambda: grown() > 40)
p.send_signal(signal.SIGHUP)
assert p.wait() == 0, p.returncode
# ^Z, twice; the time that it stands still is no time of an item.
p = start("--set", "n=600", "--set", "limit=3")
until("items", lambda: grown() > 40)
for turn in range(2):
    p.send_signal(signal.SIGTSTP)
    until("stopped", lambda: state(p.pid) == "T")
    kids = children(p.pid)
    assert len(kids) >= 4, (turn, kids, state(p.pid), open("err").read())
    until("all stopped", lambda: all(state(k) == "T" for k in kids))
    before = grown()
    time.sleep(4)
    assert grown() == before, "they went on"
    p.send_signal(signal.SIGCONT)
    until("going on", lambda: grown() > before or p.poll() is not None)
assert p.wait() == 0, (p.returncode, open("err").read())
assert "restart" not in open("err").read()
assert open("lines").read().count("\n") == 600
# Stopped, and then ended.
p = start()
until("items", lambda: grown() > 40)
kids = children(p.pid)
p.send_signal(signal.SIGTSTP)
until("stopped", lambda: state(p.pid) == "T")
p.send_signal(signal.SIGTERM)
p.send_signal(signal.SIGCONT)
assert p.wait() == 143, p.returncode
until("gone", lambda: not any(os.path.exists("/proc/%d" % k) for k in kids))
P
"$PYTHON" drive.py "$facet" || fail "see above"
