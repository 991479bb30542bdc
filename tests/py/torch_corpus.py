"""Writes the corpora of fuzz_torch and fuzz_pickle: tiny files that reach
each container, opcode and kind of tensor. Run by hand from the repository
root: /usr/bin/python3 tests/py/torch_corpus.py
"""
import collections
import io
import os
import pickle
import zipfile

import numpy as np
import torch
from torch import nn

ROOT = "tests/fuzz/corpus"


class Tiny(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(1, 2)
        self.register_buffer("b", torch.zeros(1), persistent=False)

    def forward(self, x):
        return self.a(x)


class State:
    def __init__(self):
        self.x, self.s = 1, {2, 3}


def write(kind, name, data):
    os.makedirs(f"{ROOT}/{kind}", exist_ok=True)
    with open(f"{ROOT}/{kind}/{name}", "wb") as f:
        f.write(data)


def saved(obj, zipped, protocol=2):
    b = io.BytesIO()
    torch.save(obj, b, pickle_protocol=protocol,
               _use_new_zipfile_serialization=zipped)
    return b.getvalue()


def repacked(data, method):
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as a, \
            zipfile.ZipFile(out, "w", method) as b:
        for name in a.namelist():
            b.writestr(zipfile.ZipInfo(name), a.read(name), method)
    return out.getvalue()


def inner(data):
    with zipfile.ZipFile(io.BytesIO(data)) as z:
        return z.read([n for n in z.namelist() if n.endswith("data.pkl")][0])


def main():
    torch.manual_seed(1)
    net = Tiny()
    state = net.state_dict()
    base = torch.arange(24, dtype=torch.float32).reshape(2, 3, 4)
    many = {"t": base.transpose(0, 2), "s": base[1:, ::2], "i": base.char(),
            "h": base[0].half(), "z": torch.tensor(1.5), "e": torch.ones(0, 2),
            "c": torch.ones(1) * 1j, "x": torch.ones(1).expand(3, 4)}
    wrapped = {"state_dict": {"module." + k: v for k, v in state.items()},
               "optimizer": {"state": {0: {"step": torch.ones(1)}}},
               "best": torch.ones(()), "epoch": 3}
    arrays = {"a": np.ones((2, 3), "f4"), "f": np.asfortranarray(
        np.ones((2, 2)))}
    cases = {"flat": state, "many": many, "wrapped": wrapped, "module": net,
             "shared": [base[0], base[1], (base,)]}
    for name, obj in cases.items():
        write("torch", "legacy-" + name, saved(obj, False))
        z = saved(obj, True)
        write("torch", "zip-" + name, repacked(z, zipfile.ZIP_STORED))
        write("pickle", name, inner(z))
    write("torch", "legacy-protocol-4", saved(wrapped, False, 4))
    write("torch", "zip-deflated",
          repacked(saved(wrapped, True), zipfile.ZIP_DEFLATED))
    b = io.BytesIO()
    torch.jit.save(torch.jit.script(net), b)
    write("torch", "script", repacked(b.getvalue(), zipfile.ZIP_DEFLATED))
    write("pickle", "script", inner(b.getvalue()))
    for p in (0, 2, 5):
        write("torch", f"numpy-{p}", pickle.dumps(arrays, p))
    write("torch", "key-control-c1", pickle.dumps(
        {"a\u009b31m": arrays["a"], "b": {"\x1b": arrays["f"]}}, 2))
    loop = [1]
    loop.append(loop)
    plain = {"a": (1, 2.5, None, True), "b": [b"\x00\xff", "\u20ac", 1 << 70],
             "c": collections.OrderedDict(x=1), "d": {1}, "e": frozenset("a"),
             "f": bytearray(b"q"), "g": State(), "h": -3, "i": 70000,
             "k": loop, -5: -(1 << 40), "l": float("inf")}
    for p in range(6):
        write("pickle", f"plain-{p}", pickle.dumps(plain, p))
    write("pickle", "python-2", b"(dp0\nS'a\\x41\\n'\np1\nI01\nsS\"b\"\n(lp2\n"
          b"L12L\naF1.5\nacos\nsystem\n(S'x'\ntRs(icollections\nOrderedDict\n"
          b"p3\nV\\u20ac\n(cm\nC\nobs.")


main()
