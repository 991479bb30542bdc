"""Both directions of the wire against Python: wire_interop.py FACET STAGE.

FACET is the command, STAGE a transform that passes foreign fields through
(pose-rotator). Every dtype, small (in `data`) and large (in a frame), with
msgpack-numpy's bytes keys and with ours.
"""
import io
import json
import os
import re
import subprocess
import sys

import numpy as np

import facet_tape as tape

FACET, STAGE = sys.argv[1:3]
TYPES = {"u8": "|u1", "u16": "<u2", "i32": "<i4", "i64": "<i8", "f16": "<f2",
         "bf16": "<u2", "f32": "<f4", "f64": "<f8"}
RNG = np.random.default_rng(1)
ID = bytes(range(16))


def run(args, data=b""):
    p = subprocess.run(args, input=data, capture_output=True)
    if p.returncode:
        sys.exit(f"{args}: exit {p.returncode}: {p.stderr.decode()}")
    return p.stdout


def sample(dtype, shape):
    """Arbitrary finite values of a type of ours."""
    t = np.dtype(TYPES[dtype])
    if dtype == "bf16":
        return (RNG.normal(size=shape).astype("<f4").view("<u4") >> 16
                ).astype("<u2")
    if t.kind == "f":
        return RNG.normal(size=shape).astype(t)
    return RNG.integers(0, np.iinfo(t).max, size=shape, dtype=t)


def as_float(dtype, a):
    if dtype == "bf16":
        return (a.astype("<u4") << 16).view("<f4")
    return a


def every_form():
    """One item with each dtype in each form; {field: (dtype, array)}."""
    fields, frames, arrays = {}, [], {}
    for d in TYPES:
        kind = "bfloat16" if d == "bf16" else None
        for form in ("data", "bytes", "frame"):
            a = sample(d, (37, 41, 3) if form == "frame" else (2, 3))
            if form == "frame":
                frames.append(a.tobytes())
            name = f"{form}.{d}"
            arrays[name] = (d, a)
            fields[name] = tape.tensor(
                a, frame=len(frames) if form == "frame" else None,
                bytes_keys=form == "bytes", kind=kind)
    scalar, empty = np.array(2.5, "<f4"), np.zeros((0, 4), "<f8")
    arrays["scalar"], arrays["empty"] = ("f32", scalar), ("f64", empty)
    fields["scalar"] = tape.tensor(scalar)
    fields["empty"] = tape.tensor(empty)
    fields["np.float"] = {b"nd": False, b"type": "<f8",
                          b"data": np.float64(0.1).tobytes()}
    fields["np.int"] = {b"nd": False, b"type": "|i1",
                        b"data": np.int8(-5).tobytes()}
    plain = {"s": "héllo", "i": -2**63, "f": 0.1, "t": True, "z": None}
    head = {"v": 1, "kind": "item", "id": ID, "attempt": 2, "epoch": 7,
            "fields": {**plain, **fields}}
    return head, frames, arrays, plain


def tape_bytes(*items):
    f = io.BytesIO()
    tape.write(f, items)
    return f.getvalue()


def same(name, got, want):
    if got.shape != want.shape or got.tobytes() != want.tobytes():
        sys.exit(f"{name}: {got!r} is not {want!r}")


def to_facet():
    """Python writes, facet reads."""
    head, frames, arrays, plain = every_form()
    out = run([FACET, "tape", "show", "--json", "--full"],
              tape_bytes((head, frames)))
    item = json.loads(out)
    assert item["id"] == ID.hex() and item["attempt"] == 2, item["id"]
    assert item["epoch"] == 7 and item["parent"] == "0" * 32
    fields = item["fields"]
    for name, v in plain.items():
        assert fields[name] == v, (name, fields[name])
    assert fields["np.float"] == 0.1 and fields["np.int"] == -5
    for name, (d, a) in arrays.items():
        assert fields[name]["dtype"] == d, fields[name]
        got = np.array(fields[name]["data"])
        want = as_float(d, a)
        # 9 digits stand for one float32, 17 for one float64
        same(name, got.astype(want.dtype).reshape(fields[name]["shape"]), want)


def from_facet():
    """facet writes, Python reads."""
    args, wants = [], {}
    for d in TYPES:
        small = as_float(d, sample(d, (2, 3)))
        text = ",".join(repr(v) for v in small.ravel().tolist())
        args += [f"small.{d}={d}[2,3]:{text}", f"big.{d}={d}[60,100]:ramp"]
        big = np.arange(6000)
        if d[0] in "ui":
            big %= 256
        wants[f"small.{d}"] = (d, small)
        wants[f"big.{d}"] = (d, big.reshape(60, 100))
    data = run([FACET, "tape", "make", "s=str:é", "i=i64:-3", "f=f64:0.5",
                "t=bool:no", "z=nil:", *args])
    (item,) = tape.read(io.BytesIO(data))
    fields = item["fields"]
    assert item["v"] == 1 and item["kind"] == "item" and len(item["id"]) == 16
    assert [fields[k] for k in "siftz"] == ["é", -3, 0.5, False, None]
    for name, (d, want) in wants.items():
        got = fields[name]
        assert got.dtype == np.dtype(TYPES[d]), (name, got.dtype)
        if d == "bf16" and name[0] == "b":  # rounded to 8 bits
            assert np.allclose(as_float(d, got), want, rtol=2**-8), name
        else:
            same(name, as_float(d, got), want.astype(as_float(d, got).dtype))


def through_a_stage():
    """Python -> stage --stdio -> Python: foreign fields come back the same."""
    head, frames, arrays, plain = every_form()
    points = RNG.normal(size=(68, 3)).astype("<f4")
    head["fields"]["landmarks"] = tape.tensor(points)
    out = run([STAGE, "--stdio", "--yaw", "0,30"],
              tape_bytes((head, frames), (dict(head, id=bytes(16)), frames)))
    items = list(tape.read(io.BytesIO(out)))
    assert len(items) == 4, len(items)
    assert len({i["id"] for i in items}) == 4
    assert [i["parent"] for i in items] == [ID, ID, bytes(16), bytes(16)]
    for item in items:
        for name, (_, a) in arrays.items():
            same(name, item["fields"][name], a)
        for name, v in plain.items():
            assert item["fields"][name] == v, name
        same("landmarks", item["fields"]["landmarks"], points)
    assert np.allclose(items[0]["fields"]["target"], points, atol=1e-5)


def refused():
    """What Python could send, and must not."""
    a = np.arange(6, dtype="<f4").reshape(2, 3)
    bad = {
        "big-endian": tape.tensor(a.astype(">f4")),
        "complex": tape.tensor(a.astype("<c8")),
        "object": dict(tape.tensor(a), kind="O"),
        "object arrays": dict(tape.tensor(a), type="|O"),
        "lists": [1, 2],
        "bytes are not": b"abc",
        "its shape needs": dict(tape.tensor(a), shape=[2, 2]),
        "maps": {"a": 1},
        "not in 1..0": tape.tensor(a, frame=1),
    }
    for text, value in bad.items():
        data = tape_bytes(({"v": 1, "fields": {"x": value}}, []))
        p = subprocess.run([FACET, "tape", "show"], input=data,
                           capture_output=True)
        assert p.returncode == 3, (text, p.returncode)
        assert text in p.stderr.decode() and "field 'x'" in p.stderr.decode(), (
            text, p.stderr)


def printed():
    """docs/wire.md prints the reader as it is here."""
    here = os.path.dirname(os.path.abspath(__file__))
    with open(os.path.join(here, "facet_tape.py"), encoding="utf-8") as f:
        source = f.read()
    code = re.search(r"# docs/wire.md prints.*?\n(.*?)# to here", source, re.S)
    with open(os.path.join(here, "../../docs/wire.md"), encoding="utf-8") as f:
        assert code[1].strip() in f.read(), "docs/wire.md differs"


for test in (to_facet, from_facet, through_a_stage, refused, printed):
    test()
    print(test.__name__, "fine")
