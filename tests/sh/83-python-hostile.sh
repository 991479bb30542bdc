# facet.py against what people do in Python: each costs the item that it was
# done to, with its reason, and the others come through with the right bytes.
# needs: all c:python3 py:msgpack py:numpy py:zmq tests/stages
set -eu
modules='import zmq, msgpack, numpy'
. "$PWD/tests/support/foreign.sh"
cat > odd.py <<'P'
import collections, os, sys, time
import numpy as np
import facet

class Odd:
    pass

def answer(i, big):
    a = np.arange(60, dtype="f4").reshape(5, 4, 3)
    return {
        # wrong: what the reason must say
        0: lambda: 1 / 0,
        1: lambda: sys.exit(3),
        2: lambda: os._exit(5),
        3: lambda: time.sleep(1e6),
        4: lambda: {"v": np.array([Odd()], object)},
        5: lambda: {"v": a.astype("f8")},
        6: lambda: {"v": a[:, :, :2]},
        7: lambda: {"v": a.astype("c8")},
        8: lambda: {"v": a.astype("u4")},
        9: lambda: {"v": [1, 2, 3]},
        10: lambda: {"v": a, "w": {"x": 1}},
        11: lambda: {"v": a, "n": 1 << 63},
        12: lambda: {"v": a, "s": "a\0b"},
        13: lambda: {"v": a, "s": "x" * (1 << 20) + "y"},
        14: lambda: {"v": a, "s": "\ud800"},
        15: lambda: {"v": a, "Bad Name": 1},
        16: lambda: None,
        17: lambda: "text",
        18: lambda: {"vv": a},
        19: lambda: {},
        20: lambda: {"v": a, "s": b"bytes"},
        21: lambda: {"v": np.zeros((1,) * 9, "f4")},
        22: lambda: ("nowhere", {"v": a}),
        23: lambda: {"v": np.broadcast_to(np.float32(0), ((1 << 28) + 1,))},
        24: lambda: (_ for _ in ()).throw(facet.Fail("no fäce \u009b[2J", "noface")),
        25: lambda: (_ for _ in ()).throw(KeyError("k")),
        26: lambda: (_ for _ in ()).throw(MemoryError()),
        27: lambda: open("/nowhere/x"),
        28: lambda: exec("def f(): return f()\nf()", {}),
        29: lambda: two_and_fail(a),
        # right: all of these are the same bytes
        30: lambda: {"v": a},
        31: lambda: {"v": np.asfortranarray(a)},
        32: lambda: {"v": a[::-1, ::-1][::-1, ::-1]},
        33: lambda: {"v": a.astype(">f4")},
        34: lambda: {"v": a.repeat(2, 0)[::2]},
        35: lambda: [{"v": a}],
        36: lambda: ({"v": x} for x in [a]),
        37: lambda: ("out", {"v": a}),
        38: lambda: {"v": memoryview_array(a)},
        39: lambda: {"v": a, "s": "ünïcödé \u4e2d\U0001f600", "n": np.int64(-7), "w": np.float32(np.nan)},
        40: lambda: {"v": np.ma.masked_array(a)},
    }[i]()

def two_and_fail(a):
    yield {"v": a}
    raise ValueError("after one")

def memoryview_array(a):
    m = np.zeros((5, 4, 3, 2), "f4")[..., 0]  # strided, read only
    m[...] = a
    m.flags.writeable = False
    return m

@facet.stage(takes="i i64", gives="v f32[A,B,3], s str?, n i64?, w f64?")
def odd(item, at: int = -1, big=1):
    "Misbehaves."
    if at >= 0:
        assert not item.get("payload", np.zeros(0)).flags.writeable
    return answer(item["i"], big)

facet.main()
P
cat > odd.yaml <<Y
version: 1
dead: dead
stages:
  src: {run: t-count, with: {n: 41}}
  odd: {run: "$PYTHON odd.py", from: src, time-limit: {item: 10}}
  sink: {run: t-tape, from: odd, with: {file: out.tape}}
Y
got=0
"$facet" run odd.yaml > out 2> err || got=$?
[ $got -eq 1 ] || fail "exit status $got"
# reason I WORDS
reason() {
	f=$(grep -lx "i: $1" dead/odd/*.txt) || fail "$1: no letter"
	grep -q "^error_text: .*$2" "$f" || fail "$1: $(grep error_text "$f")"
}
reason 0 'ZeroDivisionError: division by zero (odd.py:[0-9]*)'
reason 1 'SystemExit: 3'
reason 2 "python3 odd.py' exited with status 5"
reason 3 'took longer than 10 s'
reason 4 "field 'v': arrays of type object are not taken"
reason 5 "field 'v': wanted f32\[A,B,3\].*, found f64\[5,4,3\]"
reason 6 "wanted f32\[A,B,3\].*found f32\[5,4,2\]"
reason 7 'arrays of type complex64 are not taken'
reason 8 'arrays of type uint32 are not taken'
reason 9 "field 'v': a list is not taken; make it an array"
reason 10 "field 'w': a dict is not taken"
reason 11 "field 'n': 9223372036854775808 is not in"
reason 12 'no NUL'
reason 13 'at most 1 MiB'
reason 14 'UnicodeEncodeError'
reason 15 "'Bad Name' is no name of a field"
reason 16 'it returned nothing'
reason 17 'a stage gives dicts'
reason 18 "sent the field 'vv', which its --describe does not list"
reason 19 "did not send the field 'v'"
reason 20 "field 's': a bytes is not taken"
reason 21 'at most 8'
reason 22 "no output port 'nowhere'"
reason 23 'at most 1 GiB'
reason 24 'no fäce ??\[2J'
grep -qx 'error_code: noface' "$(grep -lx 'i: 24' dead/odd/*.txt)" || fail "the code"
reason 25 "KeyError: 'k'"
reason 26 'MemoryError'
reason 27 "FileNotFoundError: .*No such file"
grep -qx 'error_code: notfound' "$(grep -lx 'i: 27' dead/odd/*.txt)" || fail "the code"
reason 28 'RecursionError'
reason 29 'ValueError: after one'
[ "$(ls dead/odd/*.txt | wc -l)" -eq 30 ] || fail "letters: $(ls dead/odd/*.txt | wc -l)"
[ "$(grep -l '^  Traceback (most recent' dead/odd/*.txt | wc -l)" -ge 20 ] || fail "tracebacks"
# Two deaths, two new starts: all else was heard out.
[ "$(grep -c 'is started anew' err)" -eq 2 ] || fail "starts"
"$facet" tape show --full out.tape > items
[ "$(grep -c '^item' items)" -eq 12 ] || fail "items"
PYTHONPATH=$root/python "$PYTHON" -c 'import facet, numpy
for x in facet.Tape("out.tape"):
    assert (x["v"] == numpy.arange(60).reshape(5, 4, 3)).all(), x' 2> err || fail "bytes"
grep -q 'ünïcödé 中😀' items || fail "unicode"
grep -q '^  n i64 -7$' items || fail "a scalar of numpy"
grep -q '^  w f64 nan$' items || fail "NaN"

# All types, there and back, also large (in frames) and empty; NaNs keep their
# bits where an array is not touched.
cat > types.py <<'P'
import numpy as np
import facet
KINDS = "u1 u2 i4 i8 f2 f4 f8".split()
NAMES = dict(zip(KINDS, "u8 u16 i32 i64 f16 f32 f64".split()))
def make(k, shape):
    n = int(np.prod(shape))
    raw = np.random.default_rng(n + len(k)).integers(0, 256, n * np.dtype(k).itemsize, "u1")
    return raw.view("<" + k).reshape(shape)
SHAPES = {"s": (2, 3), "l": (300, 301), "e": (0, 7), "z": ()}
FIELDS = [(NAMES[k] + "_" + s, k, shape) for k in KINDS for s, shape in SHAPES.items()]
P
cat > send.py <<'P'
import numpy as np
from types_ import FIELDS, NAMES, make
import facet
spec = ", ".join("%s %s[...]" % (n, NAMES[k]) for n, k, _ in FIELDS)
@facet.stage(takes="i i64", gives=spec + ", half bf16[...], yes u8[3], t f32[...]?")
def send(item):
    f = {n: make(k, s) for n, k, s in FIELDS}
    f["half"] = facet.bf16([1.0, 1.00390625, -3.0e38, np.inf, np.nan, 1.01171875])
    f["yes"] = np.array([True, False, True])
    return f
facet.main()
P
cat > back.py <<'P'
import numpy as np
from types_ import FIELDS, make
import facet
@facet.stage(takes="half bf16[6]", gives="ok bool")
def back(item):
    for n, k, s in FIELDS:
        a = item[n]
        assert a.dtype == np.dtype("<" + k) and a.shape == s, (n, a.dtype, a.shape)
        assert a.tobytes() == make(k, s).tobytes(), n
        assert not a.flags.writeable or a.size == 0
    h = item["half"]
    assert h.dtype == np.float32 and h[0] == 1 and h[3] == np.inf and np.isnan(h[4])
    assert h[1] == 1 and h[5] == 1.015625, h  # ties to even
    assert item["yes"].tolist() == [1, 0, 1]
    return {"ok": True}
facet.main()
P
mv types.py types_.py
cat > types.yaml <<Y
version: 1
dead: dead2
stages:
  src: {run: t-count, with: {n: 3}}
  send: {run: "$PYTHON send.py", from: src}
  back: {run: "$PYTHON back.py", from: send}
  sink: {run: t-tape, from: back, with: {file: types.tape}}
Y
"$facet" run types.yaml > out 2> err || fail "types: $(cat dead2/*/*.txt)"
# The reader, against the tool; a torn tape and a changed byte are seen.
PYTHONPATH=$root/python "$PYTHON" - <<'P' 2> err || fail "reader"
import sys
sys.path.insert(0, ".")
import numpy as np
from types_ import FIELDS, make
import facet
t = facet.Tape("types.tape")
assert len(t) == 3 and len(list(t)) == 3 and len(t[1:]) == 2
for it in t:
    for n, k, s in FIELDS:
        assert it[n].tobytes() == make(k, s).tobytes()
facet.write_tape("again.tape", ({**x, "half": facet.bf16(x["half"])} for x in t))
b = open("types.tape", "rb").read()
for n in (9, 100, len(b) // 2, len(b) - 1):
    open("torn.tape", "wb").write(b[:n])
    try:
        list(facet.Tape("torn.tape"))
        sys.exit("torn at %d is taken" % n)
    except ValueError as x:
        assert "byte" in str(x)
for n in (len(b) // 2, len(b) - 9):
    open("changed.tape", "wb").write(b[:n] + bytes([b[n] ^ 1]) + b[n + 1:])
    try:
        list(facet.Tape("changed.tape"))
        sys.exit("a changed byte at %d is taken" % n)
    except ValueError as x:
        assert "checksum" in str(x), x
P
"$facet" tape diff types.tape again.tape > err || fail "written: $(cat err)"

# What is missing is named: interpreter, packages, x bit.
cat > shebang.yaml <<Y
version: 1
vars: {run: ./x.py}
stages:
  src: {run: t-count}
  x: {run: "\${run}", from: src}
  sink: {run: t-tape, from: x, with: {file: x.tape}}
Y
says() {
	! "$facet" check shebang.yaml > out 2> err || fail "$1: sound"
	grep -q "$1" err || fail "no word '$1'"
}
printf '#!/nowhere/python3\nprint()\n' > x.py
says "not an executable file (chmod +x?)"
chmod +x x.py
says "its interpreter '/nowhere/python3' is not there (Debian's package python3)"
printf 'not a script\n' > x.py
says "its first line names no interpreter"
mkdir lone
ln -s "$root/python/facet.py" lone
printf '#!%s -S\nimport zmq\n' "$PYTHON" > x.py
says "ModuleNotFoundError: No module named 'zmq' (Debian's package python3-zmq)"
printf '#!%s -S\nimport facet\n@facet.stage(takes="i i64")\ndef x(item): pass\nfacet.main()\n' "$PYTHON" > x.py
says "No module named 'numpy' (Debian's package python3-numpy)"
# Long lists of choices fit, and one that does not says so.
cat > choices.py <<'P'
import sys
import facet
many = ["choice-%06d" % i for i in range(30000)]
@facet.stage(takes="i i64", gives="i i64")
def x(item, c=facet.param("choice-029999", choices=many)):
    assert c == "choice-029999"
    return {"i": item["i"]}
facet.main()
P
sed 's/n: 41/n: 2/; s/odd.py/choices.py/; s/, time-limit: {item: 10}//' odd.yaml > choices.yaml
"$facet" run choices.yaml > out 2> err || fail "30000 choices"
! "$facet" check choices.yaml --set odd.c=choice-03 > out 2> err || fail "a choice that is none"
sed -i 's/30000/300000/' choices.py
! "$facet" check choices.yaml > out 2> err || fail "300000 choices"
grep -q "wrote more than 1 MiB" err || fail "300000 choices"
# An item that is full of fields fails like any other, and its letter says what
# it had to leave out.
cat > full.py <<'P'
import facet
@facet.stage(takes="i i64", gives="i i64, ...")
def full(item):
    return {"i": item["i"], **{"f%02d" % k: k for k in range(61)}}
facet.main()
P
cat > full.yaml <<Y
version: 1
dead: dead3
stages:
  src: {run: t-count, with: {n: 2}}
  full: {run: "$PYTHON full.py", from: src}
  sink: {run: t-work, from: full, with: {fail-every: 1}}
  end: {run: t-tape, from: [sink, sink.failed], with: {file: full.tape}}
Y
got=0
"$facet" run full.yaml > out 2> err || got=$?
[ $got -eq 1 ] || fail "full: exit status $got"
[ "$(grep -l "without 'f60', as 64 fields are the most" dead3/sink/*.txt | wc -l)" -eq 2 ] || fail "full: $(cat dead3/*/*.txt)"
# A thread that is left behind is waited for, and named.
cat > left.py <<'P'
import os
import threading
import time
import facet
def upload():
    while not os.path.exists("named"):
        time.sleep(0.05)
@facet.stage(takes="i i64", gives="i i64")
def left(item):
    if item["i"] == 0:
        threading.Thread(target=upload, name="upload").start()
    return item
facet.main()
P
cat > left.yaml <<Y
version: 1
dead: dead4
stages:
  src: {run: t-count, with: {n: 2}}
  left: {run: "$PYTHON left.py", from: src}
  end: {run: t-tape, from: left, with: {file: left.tape}}
Y
"$facet" run left.yaml > out 2> err &
run=$! i=0
until grep -q "waits for thread 'upload'" err; do
	i=$((i + 1))
	[ $i -lt 2400 ] || fail "a thread that is left behind is not named"
	sleep 0.05
done
touch named
wait $run || fail "a thread that is left behind: exit status $?"
