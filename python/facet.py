"""Stages of facet pipelines in Python, and readers of what they make.

    #!/usr/bin/python3
    import facet

    @facet.stage(takes="frame u8[H,W,3]", gives="frame u8[H,W,3]")
    def negative(item):
        "Turns light to dark."
        return {"frame": 255 - item["frame"]}

    facet.main()

One file; wants python3-numpy, python3-msgpack and python3-zmq, PyTorch only for
`Dataset`, Pillow or OpenCV only for pictures of stores. docs/python.md tells more.
"""
import collections.abc
import csv
import ctypes
import importlib.util
import inspect
import json
import os
import re
import struct
import sys
import threading
import time
import traceback

__all__ = ["stage", "param", "main", "Item", "Fail", "failed", "bf16", "report", "expect", "status",
           "enough", "Tape", "Store", "write_tape", "decode", "encode"]

MAX_BYTES = 1 << 30   # of a message
MAX_STR = 1 << 20
INLINE = 4096         # bytes of a tensor that stays in the header
TYPES = {"|u1": "u8", "<u2": "u16", "<i4": "i32", "<i8": "i64",
         "<f2": "f16", "bfloat16": "bf16", "<f4": "f32", "<f8": "f64"}

# Where this process stands in the run; of use to sources with replicas.
instance = os.environ.get("FACET_INSTANCE", "")
replica = int(os.environ.get("FACET_REPLICA", "0"))
replicas = int(os.environ.get("FACET_REPLICAS", "1"))
threads = int(os.environ.get("FACET_THREADS", "1"))


class Fail(Exception):
    """Raise it to set the item aside with a reason for a person.
    code: data, noface, io, notfound, unsupported, nomem or arg."""

    def __init__(self, text, code="data"):
        super().__init__(text)
        self.code = code


class Item(dict):
    """The fields of an item. port: where it goes out (None: the first).
    came_by: the port where it came in. key: in a source, what the item's id is
    made of instead of its number, so that it does not depend on how many came
    before."""

    def __init__(self, fields=(), port=None, key=None):
        super().__init__(fields)
        self.port, self.key = port, key
        self.came_by, self.id, self.attempt, self.kind = None, b"", 0, "item"
        self.failure = None  # (code, text), of `failed`
        self.given = None    # of an input: its fields as they came


def failed(fields, text, code="data", key=None):
    """What a source yields for something that it cannot read: it is set aside
    with these fields (name, path) and the reason, and the source goes on."""
    item = Item(fields, key=key)
    item.failure = (code, text)
    return item


# Items as messages (docs/wire.md)

class _BF16:
    def __init__(self, bits):
        self.bits, self.nbytes = bits, bits.nbytes


def bf16(array):
    """To send an array as bfloat16 (numpy has none): rounds to nearest even.
    What comes as bfloat16 is read as float32, which holds it exactly."""
    import numpy as np
    a = np.array(array, "<f4", order="C")  # a copy
    bits = a.view("<u4")
    nan = np.isnan(a)
    out = ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype("<u2")
    out[nan] = (bits[nan] >> 16).astype("<u2") | 0x40
    return _BF16(out)


def _array(name, v):
    """An array, its wire type and its bytes, in the order that the wire wants."""
    import numpy as np
    if hasattr(v, "detach"):  # a tensor of PyTorch
        v = v.detach().cpu()
        v = bf16(v.float().numpy()) if str(v.dtype) == "torch.bfloat16" else v.numpy()
    if isinstance(v, _BF16):
        return v.bits, "bfloat16"
    if v.dtype.name == "bfloat16":  # of the package ml_dtypes
        return np.ascontiguousarray(v).view("<u2").reshape(v.shape), "bfloat16"
    if v.dtype == bool:
        v = v.astype("|u1")
    little = v.dtype.newbyteorder("<")
    if v.dtype.kind not in "uif" or little.str not in TYPES:
        raise TypeError("field '%s': arrays of type %s are not taken (but u8 u16 i32 i64 f16 bf16 f32 f64)"
                        % (name, v.dtype))
    if v.ndim > 8:
        raise TypeError("field '%s' has %d dimensions, at most 8 are taken" % (name, v.ndim))
    a = np.asarray(v, little, order="C")
    return a, a.dtype.str


def _plain(name, v):
    """A value as msgpack takes it. Refuses what a reader would."""
    import numpy as np
    if isinstance(v, np.generic):
        v = v.item()
    if isinstance(v, os.PathLike):
        v = os.fspath(v)
    if isinstance(v, int) and not -1 << 63 <= v < 1 << 63:
        raise ValueError("field '%s': %d is not in -2^63..2^63-1" % (name, v))
    if isinstance(v, str):
        raw = v.encode("utf-8", "strict")
        if len(raw) > MAX_STR or b"\0" in raw:
            raise ValueError("field '%s': a text has at most 1 MiB and no NUL" % name)
    elif v is not None and not isinstance(v, (bool, int, float)):
        raise TypeError("field '%s': a %s is not taken; make it an array (numpy), a number or a text"
                        % (name, type(v).__name__))
    return v


def encode(item, kind="item", id=b""):
    """A message (list of bytes) of a dict. Arrays may be of any order of bytes
    and strides; booleans in arrays become u8."""
    import msgpack
    import numpy as np
    fields, parts, total = {}, [b""], 0
    for name, v in item.items():
        if not isinstance(name, str) or not re.fullmatch(r"[a-z][a-z0-9_.]{0,46}", name):
            raise ValueError("%.60r is no name of a field (a-z 0-9 _ ., at most 47)" % (name,))
        if not isinstance(v, (np.ndarray, _BF16)) and not hasattr(v, "detach"):
            fields[name] = _plain(name, v)
            continue
        total += getattr(v, "nbytes", 0)  # before anything is copied
        if total > MAX_BYTES:
            raise ValueError("field '%s': an item holds at most 1 GiB" % name)
        a, dtype = _array(name, v)
        shape = list(a.shape)
        fields[name] = {"nd": True, "type": dtype, "kind": "", "shape": shape}
        if a.nbytes <= INLINE:
            fields[name]["data"] = a.tobytes()
        else:
            fields[name]["frame"] = len(parts)
            parts.append(a.reshape(-1).view("|u1").data)
    if len(fields) > 64:
        raise ValueError("%d fields, at most 64 are taken" % len(fields))
    head = {"v": 1, "kind": kind, "fields": fields}
    if id:
        head["id"] = id
    parts[0] = msgpack.packb(head, use_bin_type=True)
    return parts


def decode(parts):
    """An Item of a message (list of bytes). Arrays can only be read: they are
    views of the message; take a copy() to write."""
    import msgpack
    import numpy as np
    head = msgpack.unpackb(parts[0], raw=False, strict_map_key=False)
    item = Item()
    item.kind, item.id, item.attempt = head.get("kind", "item"), head.get("id", b""), head.get("attempt", 0)
    for name, v in head.get("fields", {}).items():
        if isinstance(v, dict):
            data = parts[v["frame"]] if "frame" in v else v["data"]
            half = v["type"] == "bfloat16"
            a = np.frombuffer(data, "<u2" if half else v["type"]).reshape(v["shape"])
            v = (a.astype("<u4") << 16).view("<f4") if half else a
        item[name] = v
    item.came_by = item.pop("facet.port", None)
    return item


# Stages

class param:
    """A parameter: its default (none: it must be given), and what is known of
    it. As a default value in the function: `def blur(item, r=param(2, min=0))`.
    choices: a list of texts. A list of numbers as default makes it `floats`."""

    def __init__(self, default=inspect.Parameter.empty, help="", unit=None, min=None, max=None,
                 choices=None, type=None):
        self.default, self.help, self.unit = default, help, unit
        self.min, self.max, self.choices, self.type = min, max, choices, type


def _param_type(p, note):
    names = {bool: "bool", int: "int", float: "float", str: "str", list: "floats", tuple: "floats"}
    if p.type:
        return p.type
    if p.choices:
        return "enum"
    if note in names:
        return names[note]
    if isinstance(note, type) and issubclass(note, os.PathLike):
        return "path"
    return names.get(type(p.default), "str")


def _param_text(v):
    if isinstance(v, bool):
        return "true" if v else "false"
    if isinstance(v, (list, tuple)):
        return ",".join(repr(float(x)) for x in v)
    return str(v)


def _param_value(kind, text):
    if kind == "bool":
        return text == "true"
    if kind == "floats":
        return [float(x) for x in text.split(",")] if text else []
    return {"int": int, "float": float}.get(kind, str)(text)


class Stage:
    """What `stage` makes of a function or class. Call it as that is called."""

    def __init__(self, body, takes, gives, name, help, finish):
        self.body, self.end = body, finish
        self.takes, self.gives = _ports(takes, "in"), _ports(gives, "out")
        if not self.takes and not self.gives:
            raise TypeError("a stage takes something, gives something, or both")
        self.kind = "source" if not self.takes else "transform" if self.gives else "sink"
        self.name = name or body.__name__.lower().replace("_", "-")
        self.help = help or inspect.getdoc(body) or "A stage in Python."
        self.whole = inspect.isclass(body)
        self.params = {}
        names = list(inspect.signature(body).parameters.values())
        for p in names if self.whole or self.kind == "source" else names[1:]:
            if p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD):
                continue
            known = p.default if isinstance(p.default, param) else param(p.default)
            self.params[p.name] = (known, _param_type(known, p.annotation))
        self.__doc__ = self.help

    def filled(self, given):
        """Parameters by name, defaults included."""
        out = {n: p.default for n, (p, _) in self.params.items()
               if p.default is not inspect.Parameter.empty}
        out.update(given)
        missing = [n for n in self.params if n not in out]
        if missing:
            raise TypeError("parameter '%s' must be given" % missing[0])
        return out

    def __call__(self, *args, **given):
        return self.body(*args, **self.filled(given))

    def describe(self):
        """The YAML for --describe (JSON's texts are YAML's too)."""
        def text(v):
            return json.dumps(v, ensure_ascii=False)
        out = ["name: " + text(self.name), "help: " + text(self.help), "kind: " + self.kind]
        for key, ports in (("in", self.takes), ("out", self.gives)):
            if ports:
                out.append(key + ":")
                out += ["  - {name: %s, fields: %s}" % (n, text(f)) for n, f in ports.items()]
        if self.params:
            out.append("params:")
        for n, (p, kind) in self.params.items():
            line = ["name: " + n.replace("_", "-"), "type: " + kind, "help: " + text(p.help or n)]
            if p.default is not inspect.Parameter.empty:
                line.append("default: " + text(_param_text(p.default)))
            if p.choices:
                line.append("choices: [%s]" % ", ".join(text(str(c)) for c in p.choices))
            if p.unit:
                line.append("unit: " + text(p.unit))
            line += ["%s: %r" % (k, v) for k, v in (("min", p.min), ("max", p.max)) if v is not None]
            out.append("  - {%s}" % ", ".join(line))
        return "\n".join(out)

    def read_args(self, argv):
        given = {}
        for a in argv:
            name, eq, value = a.partition("=")
            key = name[2:].replace("-", "_")
            if not a.startswith("--") or not eq or key not in self.params:
                raise SystemExit("%s: unknown option '%s'" % (self.name, a))
            given[key] = _param_value(self.params[key][1], value)
        return self.filled(given)

    def open(self, given):
        """(a function of an item, or the source's iterator; finish or None)"""
        if self.whole:
            body = self.body(**given)
            end = getattr(body, "finish", None)
            return (iter(body) if self.kind == "source" else body), end
        if self.kind == "source":
            return iter(self.body(**given)), self.end
        return (lambda item: self.body(item, **given)), self.end

    def answers(self, result, given):
        """What a call gave, one by one, as what is to be sent."""
        if self.kind == "sink" and not inspect.isgenerator(result):
            result = result if isinstance(result, dict) else []
        if result is None and given is not None:
            raise TypeError("it returned nothing: return a dict of what it gives, or [] to leave the item out")
        if isinstance(result, (dict, tuple)):
            result = [result]
        if not isinstance(result or [], collections.abc.Iterable):
            raise TypeError("a stage gives dicts, or (port, dict), not %s" % type(result).__name__)
        for r in result or []:
            if isinstance(r, tuple) and len(r) == 2 and isinstance(r[0], str):
                r = Item(r[1], port=r[0])
            if not isinstance(r, dict):
                raise TypeError("a stage gives dicts, or (port, dict), not %s" % type(r).__name__)
            if self.kind == "sink":
                raise TypeError("a sink gives nothing")
            yield self.trimmed(r) if r is given else r

    def answered(self, result):
        """The same of a source: each thing that it yields is something."""
        if result is None:
            raise TypeError("it gave nothing: yield a dict, or failed(...) for what cannot be read")
        return self.answers(result, None)

    def trimmed(self, item):
        """An input that is given back: what the port lists, and what is new.
        The rest travels anyway."""
        port = item.port or next(iter(self.gives))
        if port not in self.gives:
            raise ValueError("no output port '%s'" % port)
        listed = [f.split()[0] for f in re.sub(r"\[.*?\]", "", self.gives[port]).split(",") if f.strip()]
        out = Item({n: v for n, v in item.items()
                    if n in listed or n not in item.given or item.given[n] is not v})
        out.port = port
        return out


def _ports(spec, usual):
    if spec is None:
        return {}
    return {usual: spec} if isinstance(spec, str) else dict(spec)


_stages = []


def stage(takes=None, gives=None, name=None, help=None, finish=None):
    """Makes a stage of a function of an item, or of a class whose objects are
    called with items (`__init__` opens, `finish` ends). takes, gives: fields
    ("frame u8[H,W,3], name str"), or a dict from port to such; without `takes`
    it is a source, a generator; without `gives` a sink. Further arguments of the
    function (of `__init__`) are the stage's parameters."""
    def make(body):
        s = Stage(body, takes, gives, name, help, finish)
        _stages.append(s)
        return s
    return make


_CODES = ((FileNotFoundError, "notfound"), (OSError, "io"), (MemoryError, "nomem"),
          (NotImplementedError, "unsupported"))


def _reason(x):
    """error_code, error_text and error_trace of an exception."""
    def clean(s):
        return s.replace("\0", "?").encode("utf-8", "replace").decode()[:MAX_STR // 8]
    if isinstance(x, Fail):
        return {"error_code": x.code, "error_text": clean(str(x))}
    text = traceback.format_exception_only(type(x), x)[-1].strip()
    here = [f for f in traceback.extract_tb(x.__traceback__) if f.filename != __file__]
    if here:
        text += " (%s:%d)" % (os.path.basename(here[-1].filename), here[-1].lineno)
    code = next((c for t, c in _CODES if isinstance(x, t)), "data")
    return {"error_code": code, "error_text": clean(text),
            "error_trace": clean("".join(traceback.format_exception(type(x), x, x.__traceback__)))}


_say = None  # how words reach the runner
_END = object()  # of a source's items


def _word(kind, **fields):
    if _say:
        _say(kind, fields)
    elif kind == "report":
        print(fields["text"], file=sys.stderr)


def report(text):
    """A result line, for the person who runs it."""
    _word("report", text=str(text))


def expect(items):
    """How many items a source will give, for the progress bar."""
    _word("expect", items=int(items))


def status(text):
    """Where the stage stands, in place of the progress bar."""
    _word("status", text=str(text))


def enough():
    """A sink's word that it needs no more: the sources stop."""
    _word("enough")


def _serve(s, given):
    """Answer the bridge until it says that no more comes."""
    import zmq
    global _say
    asked = b""
    sock = zmq.Context().socket(zmq.PAIR)
    lock = threading.Lock()  # words may come from any thread
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True, errors="backslashreplace")

    def send(kind, fields=(), id=None):
        message = encode(dict(fields), kind, asked if id is None else id)
        with lock:
            sock.send_multipart(message)

    def give(r):
        extra = {"facet.port": r.port} if getattr(r, "port", None) else {}
        if getattr(r, "key", None) is not None:
            extra["facet.key"] = str(r.key)
        if getattr(r, "failure", None):
            extra.update(error_code=r.failure[0], error_text=r.failure[1])
            send("aside", {**r, **extra})
        else:
            send("item", {**r, **extra})

    _say = lambda kind, fields: send(kind, fields, b"")
    body, end = s.open(given)
    sock.connect(os.environ["FACET_ENDPOINT"])
    while True:
        item = decode(sock.recv_multipart())
        asked = item.id
        if item.kind == "end":
            for r in s.answers(end() if end else None, None):
                give(r)
            break
        try:
            if item.kind == "next":
                r = next(body, _END)
                if r is not _END:
                    for a in s.answered(r):
                        give(a)
                send("end" if r is _END else "done")
                continue
            item.given = dict(item)
            for r in s.answers(body(item), item):
                give(r)
        except KeyboardInterrupt:
            raise
        except BaseException as x:  # SystemExit too: it is this item's end only
            if item.kind == "next":
                traceback.print_exc()
            send("fail", _reason(x))
            continue
        send("done")
    _name_threads()


def _name_threads():
    """Python ends only when its threads have: say for which it waits."""
    others = [t for t in threading.enumerate()
              if t is not threading.current_thread() and not t.daemon]
    until = time.monotonic() + 2
    for t in others:
        t.join(max(0, until - time.monotonic()))
    left = [t.name for t in others if t.is_alive()]
    if left:
        print("the work is done, but Python waits for %s: end it in `finish`, or make it a "
              "daemon" % ", ".join("thread '%s'" % n for n in left), file=sys.stderr)


def _stdio(s, given):
    """Items from standard input, items to standard output, both as tapes."""
    global _say
    out, sys.stdout = sys.stdout.buffer, sys.stderr
    _say = lambda kind, fields: kind == "report" and print(fields["text"], file=sys.stderr)
    body, end = s.open(given)
    status = 0
    w = _Writer(out) if s.kind != "sink" else None
    for item in body if s.kind == "source" else Tape(sys.stdin.buffer):
        if s.kind == "source":
            for r in s.answered(item):
                if getattr(r, "failure", None):
                    status = 1
                    print("%s: item failed: %s" % (s.name, r.failure[1]), file=sys.stderr)
                else:
                    w.put(r)
            continue
        if item.kind != "item":
            continue
        try:
            item.given = dict(item)
            for r in s.answers(body(item), item):
                w.put({**item.given, **r})
        except KeyboardInterrupt:
            raise
        except BaseException as x:
            status = 1
            print("%s: item failed: %s" % (s.name, _reason(x)["error_text"]), file=sys.stderr)
    for r in s.answers(end() if end else None, None):
        w.put(r)
    out.flush()
    return status


def main(which=None):
    """Run a stage (the one that the file makes): --describe, --stdio, or in a
    pipeline. Call it at the end of the file. A file that is only imported (for a
    test of its functions) goes on."""
    caller = sys._getframe(1)
    if caller.f_code.co_name == "<module>" and caller.f_globals.get("__name__") != "__main__":
        return
    if which is None and len(_stages) != 1:
        raise TypeError("the file makes %d stages: say which one main() runs" % len(_stages))
    s, argv = which or _stages[0], sys.argv[1:]
    if "--describe" in argv:
        for module in ("numpy", "msgpack", "zmq"):
            if importlib.util.find_spec(module) is None:
                raise ModuleNotFoundError("No module named '%s'" % module, name=module)
        print(s.describe())
        sys.exit()
    if "--help" in argv or "-h" in argv:
        print(s.help + "\n\n" + s.describe())
        sys.exit()
    given = s.read_args([a for a in argv if a != "--stdio"])
    if "--stdio" in argv:
        sys.exit(_stdio(s, given))
    if "FACET_ENDPOINT" not in os.environ:
        sys.exit("%s: nothing to do: run it in a pipeline (facet run) or give --stdio" % s.name)
    _serve(s, given)


# Tapes

def _xxh3():
    try:
        f = ctypes.CDLL("libxxhash.so.0").XXH3_64bits
    except OSError:
        return None
    f.restype, f.argtypes = ctypes.c_uint64, [ctypes.c_char_p, ctypes.c_size_t]
    return lambda b: f(b, len(b))


class _Writer:
    def __init__(self, f):
        self.f, self.sum = f, _xxh3()
        if not self.sum:
            raise OSError("libxxhash.so.0 is missing (Debian's package libxxhash0)")
        f.write(b"FACETTP1")

    def put(self, item, kind="item"):
        parts = [bytes(p) for p in encode(item, kind, getattr(item, "id", b""))]
        b = struct.pack("<I%dQ" % len(parts), len(parts), *map(len, parts)) + b"".join(parts)
        self.f.write(b + struct.pack("<Q", self.sum(b)))


def write_tape(path, items):
    """Write dicts as a tape; the file appears when it is whole."""
    part = "%s.%d.part" % (path, os.getpid())
    try:
        with open(part, "wb") as f:
            w = _Writer(f)
            for item in items:
                w.put(item)
            f.flush()
            os.fsync(f.fileno())
        os.replace(part, path)
    finally:
        if os.path.exists(part):
            os.unlink(part)


class Tape(collections.abc.Sequence):
    """The items of a tape: tape[3], len(tape), for item in tape. A path, or a
    stream (which can be gone through once). Checksums are looked at where
    libxxhash is there. Items are read when they are asked for, also in
    processes that were forked."""

    def __init__(self, source):
        self.name = getattr(source, "name", source)
        self.f = source if hasattr(source, "read") else open(source, "rb")
        self.sum = _xxh3()
        if self.f.read(8) != b"FACETTP1":
            raise ValueError("%s: byte 0: not a tape" % self.name)
        self.index = None

    def __getstate__(self):
        return self.name

    def __setstate__(self, name):
        self.__init__(name)

    def _bad(self, at, what):
        return ValueError("%s: byte %d: %s" % (self.name, at, what))

    def _record(self, read, at):
        """(parts or sizes, bytes of the record) at a place, None at the end"""
        head = read(4)
        if not head:
            return None
        n = struct.unpack("<I", head)[0] if len(head) == 4 else 0
        if not 1 <= n <= 72:
            raise self._bad(at, "no record, or a torn one")
        head += read(8 * n)
        if len(head) != 4 + 8 * n:
            raise self._bad(at, "the tape ends inside a record")
        sizes = struct.unpack_from("<%dQ" % n, head, 4)
        if sum(sizes) > MAX_BYTES:
            raise self._bad(at, "a record of over 1 GiB")
        return head, sizes

    def _read(self, read, at):
        r = self._record(read, at)
        if r is None:
            return None
        head, sizes = r
        body = read(sum(sizes))
        check = read(8)
        if len(body) != sum(sizes) or len(check) != 8:
            raise self._bad(at, "the tape ends inside a record")
        if self.sum and self.sum(head + body) != struct.unpack("<Q", check)[0]:
            raise self._bad(at, "the checksum does not match")
        parts, k = [], 0
        for n in sizes:
            parts.append(body[k:k + n])
            k += n
        return decode(parts), len(head) + len(body) + 8

    def _scan(self):
        if self.index is not None:
            return
        self.index, at, size = [], 8, os.fstat(self.f.fileno()).st_size
        while at < size:
            self.f.seek(at)
            head, sizes = self._record(self.f.read, at)
            if at + len(head) + sum(sizes) + 8 > size:
                raise self._bad(at, "the tape ends inside a record")
            self.index.append(at)
            at += len(head) + sum(sizes) + 8

    def __len__(self):
        self._scan()
        return len(self.index)

    def __getitem__(self, i):
        self._scan()
        if isinstance(i, slice):
            return [self[k] for k in range(*i.indices(len(self)))]
        at = self.index[i]
        place = [at]

        def read(n):  # a place of its own: forked readers share the file's
            out = b""
            while len(out) < n:
                b = os.pread(self.f.fileno(), n - len(out), place[0])
                if not b:
                    break
                out += b
                place[0] += len(b)
            return out
        return self._read(read, at)[0]

    def __iter__(self):
        if self.f.seekable():
            for i in range(len(self)):
                yield self[i]
            return
        at = 8
        while (r := self._read(self.f.read, at)) is not None:
            yield r[0]
            at += r[1]


# Stores

_FILES = ("frame", "pose", "generated", "landmarks")
_INTS = ("n_frames", "i", "view", "n_views", "pts_ns", "frame_index", "width", "height", "seed")
_FLOATS = ("rx_deg", "ry_deg", "rz_deg")


class Store(collections.abc.Sequence):
    """The samples of a store (docs/store.md), as dicts of the columns of its
    index.csv: numbers are numbers, what is empty is None, and with load=True the
    files are arrays: frame, pose and generated u8[H,W,3], landmarks f32[68,4]
    (x, y, z, score); else their paths. failed=True takes failures too."""

    def __init__(self, root, load=True, failed=False, where=None):
        self.root, self.load = str(root), load
        with open(os.path.join(self.root, "index.csv"), newline="", encoding="utf-8") as f:
            self.rows = [r for r in csv.DictReader(f) if failed or r["status"] == "ok"]
        if where:
            self.rows = [r for r in self.rows if where(self._values(r))]

    def __len__(self):
        return len(self.rows)

    @staticmethod
    def _values(row):
        out = {k: v if v != "" else None for k, v in row.items()}
        for names, kind in ((_INTS, int), (_FLOATS, float)):
            for n in names:
                if out.get(n) is not None:
                    out[n] = kind(out[n])
        return out

    def __getitem__(self, i):
        import numpy as np
        if isinstance(i, slice):
            return [self[k] for k in range(*i.indices(len(self)))]
        out = self._values(self.rows[i])
        for n in _FILES:
            if out.get(n) is None:
                continue
            path = os.path.join(self.root, out[n])
            if not self.load:
                out[n] = path
            elif n == "landmarks":
                with open(path, newline="", encoding="utf-8") as f:  # x,y,z,score; no score: NaN
                    out[n] = np.array([[float(v or "nan") for v in r] for r in list(csv.reader(f))[1:]], np.float32)
            else:
                out[n] = _picture(path)
        return out


def _picture(path):
    import numpy as np
    if importlib.util.find_spec("PIL"):
        from PIL import Image
        with Image.open(path) as p:
            return np.array(p.convert("RGB"))
    if not importlib.util.find_spec("cv2"):
        raise ModuleNotFoundError("pictures of a store are read by Pillow or OpenCV (Debian's packages "
                                  "python3-pil, python3-opencv)")
    import cv2
    a = cv2.imread(path, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    if a is None:
        raise ValueError("cannot read '%s'" % path)
    return np.ascontiguousarray(a[:, :, ::-1])


def _make_dataset():
    import numpy as np
    import torch
    from torch.utils.data import Dataset as Base

    class Dataset(Base):
        """A tape, a store (or a path to one) or any sequence of dicts as a map
        dataset of PyTorch. Arrays become tensors (u16 as i32, which PyTorch can
        calculate with); fields: only these; what is None is left out."""

        def __init__(self, source, fields=None, transform=None):
            if isinstance(source, (str, os.PathLike)):
                source = Store(source) if os.path.isdir(source) else Tape(source)
            self.source, self.fields, self.transform = source, fields, transform

        def __len__(self):
            return len(self.source)

        def __getitem__(self, i):
            item, out = self.source[i], {}
            for n in self.fields or item:
                v = item[n]
                if isinstance(v, np.ndarray):
                    v = torch.from_numpy(v.astype(np.int32) if v.dtype == np.uint16 else v.copy())
                if v is not None:
                    out[n] = v
            return self.transform(out) if self.transform else out

    Dataset.__module__, Dataset.__qualname__ = __name__, "Dataset"
    return Dataset


def __getattr__(name):
    if name != "Dataset":
        raise AttributeError("module 'facet' has no attribute '%s'" % name)
    globals()["Dataset"] = _make_dataset()  # PyTorch is wanted from here on
    return globals()["Dataset"]
