# A stage that hangs: within seconds the run says for whom it waits (stage, item,
# since when); `time-limit:` makes the item fail, `restart:` bounds how often the
# stage is started anew. The same holds for stages of ours, which give the same
# items behind the bridge as without it.
# needs: all c:python3 py:msgpack py:zmq tests/stages
set -eu
modules='import zmq, msgpack, pty'
. "$PWD/tests/support/foreign.sh"
# Wait until a line matches.
await() {
	i=0
	until grep -q "$1" "$2" 2> /dev/null; do
		i=$((i + 1))
		[ $i -lt 1200 ] || fail "no line '$1' in $2"
		sleep 0.1
	done
}
none_left() {
	i=0
	while grep -lzsq "^FACET_ENDPOINT=ipc://$dir/run" /proc/[0-9]*/environ; do
		i=$((i + 1))
		[ $i -lt 400 ] || fail "$1: processes are left"
		sleep 0.05
	done
}
cat > hang.py <<'P'
import os, subprocess, sys, time
if "--describe" in sys.argv:
    sys.exit(print("name: hang\nkind: transform\nhelp: x\nin: 'i i64'\nout: 'v f64'\n"
                   "params: [{name: how, type: str, default: sleep}]"))
import msgpack, zmq
how = sys.argv[1].split("=")[1]
s = zmq.Context().socket(zmq.PAIR)
if how == "open":
    time.sleep(1e6)
s.connect(os.environ["FACET_ENDPOINT"])
n = 0
while (h := msgpack.unpackb(s.recv_multipart()[0]))["kind"] != "end":
    n += 1
    bad = h["fields"]["i"] % 4 == 2
    if bad and how == "helper":  # what it starts must go too
        subprocess.run(["sleep", "1000000"])
    if bad and how == "sleep":
        print("reading weights.bin", flush=True)
        time.sleep(1e6)
    s.send(msgpack.packb({"v": 1, "kind": "item", "fields": {"v": 1.5}}))
    if not (bad and how == "no-done"):
        s.send(msgpack.packb({"v": 1, "kind": "done"}))
P
cat > p.yaml <<Y
version: 1
vars: {how: sleep, n: 6, limit: 1 h, open: 60, retries: 0}
dead: dead
stages:
  src: {run: t-count, with: {n: "\${n}"}}
  hang: {run: "$PYTHON hang.py", from: src, with: {how: "\${how}"}, time-limit: {item: "\${limit}", open: "\${open}"}, retries: "\${retries}"}
  sink: {run: t-tape, from: hang, with: {file: out.tape}}
Y
# Named within seconds, off a terminal and on one.
for how in sleep no-done; do
	"$facet" run p.yaml --set how=$how > out 2> err &
	runner=$!
	await '^waiting for hang, [0-9]* s: item [0-9a-f]\{32\}' err
	[ $how = sleep ] || await "^waiting for hang, .*(it has answered 1 item, but not yet 'done')$" err
	kill $runner
	got=0
	wait $runner || got=$?
	[ $got -eq 143 ] || fail "$how: exit status $got"
	none_left $how
done
cat > drive.py <<'P'
import os, pty, re, signal, sys
pid, fd = pty.fork()
if pid == 0:
    os.environ["TERM"] = "xterm"
    os.execv(sys.argv[1], sys.argv[1:])
out, sent = b"", False
while True:
    try:
        out += os.read(fd, 65536)
    except OSError:
        break
    if not sent and re.search(rb"\r\x1b\[Kwaiting for hang, \d+ s: item ", out):
        os.kill(pid, signal.SIGINT)
        sent = True
status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
assert status == 130, (status, out)
P
"$PYTHON" drive.py "$facet" run p.yaml > err 2>&1 || fail "terminal"

# The limit: the item fails with the last word, the others go on.
for how in sleep no-done helper; do
	rm -rf dead
	got=0
	"$facet" run p.yaml --set limit='500 ms' --set how=$how > out 2> err || got=$?
	[ $got -eq 1 ] || fail "$how: exit status $got"
	[ "$(ls dead/hang/*.txt | wc -l)" -eq 1 ] || fail "$how: letters"
	grep -q "took longer than 0.5 s (time-limit)" dead/hang/*.txt || fail "$how: reason"
	grep -q "is started anew (1 of 100)" err || fail "$how: start"
	"$facet" tape show out.tape > items
	none_left $how
done
got=0
rm -rf dead
"$facet" run p.yaml --set limit=0.5 --set retries=1 > out 2> err || got=$?
[ $got -eq 1 ] || fail "retries: exit status $got"
grep -q "its last word was: reading weights.bin" dead/hang/*.txt || fail "its last word"
grep -q '^  reading weights.bin$' dead/hang/*.txt || fail "what it printed"
grep -q '^error_attempts: 2$' dead/hang/*.txt || fail "retries"
sed 's/retries:/restart: 1, retries:/' p.yaml > once.yaml
got=0
"$facet" run once.yaml --set limit=0.5 --set n=11 > out 2> err || got=$?
[ $got -eq 3 ] || fail "restart: 1: exit status $got"
grep -q "^facet run: stage 'hang': it has been started anew 1 times (restart:): .* took longer than 0.5 s (time-limit).* while working on item [0-9a-f]" err || fail "restart: 1: who?"
none_left "restart: 1"
got=0
"$facet" run p.yaml --set how=open --set open=0.5 > out 2> err || got=$?
[ $got -eq 3 ] || fail "open: exit status $got"
grep -q "^facet run: stage 'hang': '.*' does not connect to FACET_ENDPOINT within 0.5 s (time-limit: open)" err || fail "open"
none_left open
# Times that are none.
for bad in 0 -1 x '5 parsecs' 8000h 1e3 "''"; do
	got=0
	"$facet" check p.yaml --set "limit=$bad" > out 2> err || got=$?
	[ $got -eq 2 ] || fail "'$bad' is taken"
	grep -q "p.yaml:6:[0-9]*: error: time-limit: item: '.*' is not a time" err || fail "'$bad'"
done
sed 's/  src: {/&restart: 2, /' p.yaml > bad.yaml
! "$facet" check bad.yaml > out 2> err || fail "restart of a source"
grep -q "error: stage 'src' is a source" err || fail "restart of a source"
sed 's/time-limit: {item/time-limit: {itme/' p.yaml > bad.yaml
! "$facet" check bad.yaml > out 2> err || fail "an unknown limit"
grep -q "did you mean 'item'" err || fail "an unknown limit"

# Stages of ours behind the bridge: the same items, ids, ports and ends.
cat > ours.yaml <<Y
version: 1
vars: {out: a}
dead: "\${out}.dead"
stages:
  src: {run: t-count, with: {n: 30, bytes: 6000, points: yes, huge-at: 7}}
  more: {run: t-count, with: {n: 5}}
  work: {run: t-work, from: [src, more], with: {children: 3, fail-every: 5, fail-late: yes}}
  join: {run: t-join, from: {left: work, right: more}}
  turn: {run: pose-rotator, from: src, with: {rx: "-10,10", ry: "0"}}
  even: {run: t-tape, from: join.even, with: {file: "\${out}.even"}}
  odd: {run: t-tape, from: [join.odd, src.failed], with: {file: "\${out}.odd"}}
  failed: {run: t-tape, from: work.failed, with: {file: "\${out}.failed"}}
  turned: {run: t-tape, from: turn, with: {file: "\${out}.turned"}}
  sated: {run: t-sated, from: turn, with: {enough: 1}}
Y
sed '/^  [a-z]*: {/s/}$/, time-limit: 60}/' ours.yaml > limits.yaml
[ "$(grep -c 'time-limit: 60' limits.yaml)" -eq 10 ] || fail "limits.yaml"
got=0
"$facet" run ours.yaml > a.out 2> err || got=$?
[ $got -eq 1 ] || fail "ours: exit status $got"
got=0
"$facet" run limits.yaml --set out=b > b.out 2> err || got=$?
[ $got -eq 1 ] || fail "ours, bridged: exit status $got"
# Items of several sources come in any order.
for t in even odd failed turned; do
	for x in a b; do
		"$facet" tape show --full $x.$t | "$PYTHON" -c 'import sys
print("item:".join(sorted(sys.stdin.read().split("item:"))))' > $x.$t.txt
	done
	cmp a.$t.txt b.$t.txt || fail "$t differs behind the bridge"
	[ "$(grep -c '^item' a.$t.txt)" -gt 3 ] || fail "$t: hardly any"
done
cmp a.out b.out || fail "reports differ"
(cd a.dead && ls */*.txt) > a.ls
(cd b.dead && ls */*.txt) > b.ls
cmp a.ls b.ls || fail "dead letters differ"
for f in $(cat a.ls); do
	cmp a.dead/$f b.dead/$f || fail "letter $f differs"
done

# Ours that hangs, crashes, cannot open.
cat > sick.yaml <<Y
version: 1
vars: {with: "", limit: 1, n: 12}
dead: sick
stages:
  src: {run: t-count, with: {n: 12}}
  work: {run: t-work, from: src, with: {crash-at: 5}, restart: 2}
  sink: {run: t-tape, from: work, with: {file: sick.tape}}
Y
got=0
"$facet" run sick.yaml > out 2> err || got=$?
[ $got -eq 1 ] || fail "crash: exit status $got"
[ "$("$facet" tape show sick.tape | grep -c '^item')" -eq 11 ] || fail "crash: items"
grep -q "was killed by signal 6 (Aborted)" sick/work/*.txt || fail "crash: reason"
sed 's/crash-at: 5/sleep-ms: 100000/; s/restart: 2/time-limit: "200 ms"/' sick.yaml > slow.yaml
rm -rf sick
got=0
"$facet" run slow.yaml > out 2> err || got=$?
[ $got -eq 1 ] || fail "slow: exit status $got"
[ "$(grep -l 'took longer than 0.2 s' sick/work/*.txt | wc -l)" -eq 12 ] || fail "slow: letters"
sed 's/crash-at: 5/fail-open: yes/' sick.yaml > shut.yaml
got=0
"$facet" run shut.yaml > out 2> err || got=$?
[ $got -eq 3 ] || fail "fail-open: exit status $got"
grep -q "^facet run: stage 'work': cannot open 'weights.bin'" err || fail "fail-open"
none_left ours
