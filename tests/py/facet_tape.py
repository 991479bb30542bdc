"""Tapes in Python, with msgpack and numpy alone (docs/wire.md).

The reader is the one printed in docs/wire.md; the writer needs libxxhash for
the checksum, which is there because facet is.
"""
import ctypes
import struct

import msgpack
import numpy as np

SUM = ctypes.CDLL("libxxhash.so.0").XXH3_64bits
SUM.restype = ctypes.c_uint64
SUM.argtypes = [ctypes.c_char_p, ctypes.c_size_t]


# docs/wire.md prints the lines from here on
def decode(parts):
    """A message (list of bytes) as its header; tensors become arrays."""
    head = msgpack.unpackb(parts[0], raw=False)
    for name, v in head["fields"].items():
        if isinstance(v, dict):
            data = parts[v["frame"]] if "frame" in v else v["data"]
            bf16 = v["type"] == "bfloat16"
            a = np.frombuffer(data, "<u2" if bf16 else v["type"])
            head["fields"][name] = a.reshape(v["shape"])
    return head


def read(f):
    """Every item of a tape."""
    assert f.read(8) == b"FACETTP1"
    while n := f.read(4):
        n = struct.unpack("<I", n)[0]
        sizes = struct.unpack(f"<{n}Q", f.read(8 * n))
        yield decode([f.read(s) for s in sizes])
        f.read(8)  # XXH3 of the record
# to here


def tensor(a, frame=None, bytes_keys=False, kind=None):
    """An array in msgpack-numpy's form; kind "bfloat16" for <u2 bits."""
    out = {"nd": True, "type": kind or a.dtype.str, "kind": "",
           "shape": list(a.shape)}
    if frame is None:
        out["data"] = a.tobytes()
    else:
        out["frame"] = frame
    if bytes_keys:  # as msgpack_numpy.encode writes them
        out = {k.encode(): v for k, v in out.items()}
        out[b"kind"] = b""
    return out


def write(f, items):
    """items: (header map, list of frames)."""
    f.write(b"FACETTP1")
    for head, frames in items:
        parts = [msgpack.packb(head, use_bin_type=True), *frames]
        record = struct.pack(f"<I{len(parts)}Q", len(parts),
                             *map(len, parts)) + b"".join(parts)
        f.write(record + struct.pack("<Q", SUM(record, len(record))))
