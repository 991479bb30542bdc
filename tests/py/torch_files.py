"""PyTorch files for the test of `facet import-torch`, and the comparison.

  torch_files.py make DIR     writes DIR/NAME.pt and what is expected of it,
                              DIR/NAME.npz, with the arguments to give in
                              DIR/NAME.args
  torch_files.py check DIR    compares DIR/NAME.safetensors bit for bit
"""
import collections
import json
import os
import pickle
import sys
import zipfile

import numpy as np

DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2",
          "I64": "<i8", "I32": "<i4", "U8": "|u1"}


class Attack:
    """Would make a file if a reader called what a pickle asks for."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, ("touch '%s'" % self.path,)


class Namespace:
    """Some class that only the writer has."""


def as_numpy(t):
    """What import-torch is to write for a tensor."""
    import torch
    t = t.detach().cpu()
    if t.dtype == torch.bfloat16:
        return t.contiguous().view(torch.int16).numpy().view("<u2")
    a = t.contiguous().numpy()
    if a.dtype == np.bool_:
        return a.astype("|u1")
    return a.astype("<i4") if a.dtype in (np.int8, np.int16) else a


def networks(torch):
    from torch import nn

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 5, 3, bias=False)
            self.bn = nn.BatchNorm2d(5)
            self.list = nn.ModuleList([nn.Linear(2, 3), nn.PReLU(4)])
            self.scale = nn.Parameter(torch.randn(()))
            self.register_buffer("kept", torch.arange(6).reshape(2, 3))
            self.register_buffer("gone", torch.zeros(2), persistent=False)
            self.register_parameter("none", None)
            self.plain = torch.ones(3)

        def forward(self, x):
            return self.bn(self.conv(x)) * self.scale

    class Simple(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 5, 3)
            self.bn = nn.BatchNorm2d(5)

        def forward(self, x):
            return self.bn(self.conv(x))
    globals().update(Block=Block, Simple=Simple)
    for c in (Block, Simple):
        c.__module__, c.__qualname__ = "__main__", c.__name__
    return Block(), Simple()


def make(root):
    import torch
    torch.manual_seed(7)
    block, simple = networks(torch)

    def expect(name, args, state):
        np.savez(os.path.join(root, name + ".npz"),
                 **{k: as_numpy(v) for k, v in state.items()})
        with open(os.path.join(root, name + ".args"), "w") as f:
            f.write("\n".join(args))

    def both(name, obj, state, args=(), protocols=(2,)):
        for zipped in (0, 1):
            for p in protocols:
                n = "%s-%s-%d" % (name, "zip" if zipped else "old", p)
                torch.save(obj, os.path.join(root, n + ".pt"),
                           pickle_protocol=p,
                           _use_new_zipfile_serialization=bool(zipped))
                expect(n, args, state)

    state = block.state_dict()
    both("flat", state, state, protocols=(1, 2, 3, 4, 5))
    torch.save(state, os.path.join(root, "refused-protocol-0.pt"),
               pickle_protocol=0)
    torch.save({"x": torch.ones(2), "z": torch.ones(2) * 1j},
               os.path.join(root, "refused-complex.pt"))
    both("plain-dict", dict(state), state)

    types = collections.OrderedDict()
    for d in (torch.float64, torch.float32, torch.float16, torch.bfloat16):
        types[str(d)[6:]] = torch.randn(3, 4).to(d)
    for d in (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8):
        types[str(d)[6:]] = torch.randint(-100, 100, (2, 5)).to(d)
    types["bool"] = torch.tensor([True, False, True])
    types["scalar"] = torch.tensor(2.5)
    types["empty"] = torch.zeros(0, 3)
    types["nan"] = torch.tensor([float("nan"), float("inf"), -0.0])
    both("types", types, types)

    base = torch.arange(120, dtype=torch.float32)
    cube = base.reshape(2, 3, 4, 5)
    strides = {
        "transposed": cube.transpose(1, 3), "sliced": cube[:, 1:, ::2, 1:4],
        "permuted": cube.permute(3, 0, 2, 1), "expanded": cube[:1, :, :1, :1]
        .expand(4, 3, 2, 5), "offset": base[17:40], "row": cube[1, 2],
        "half": base.half()[3:][::3], "small": base.to(torch.int8)[1::7],
        "wide": base.to(torch.int16).reshape(12, 10).t()}
    both("strides", strides, strides)

    tied = dict(a=block.list[0].weight, b=block.list[0].weight,
                c=block.list[0].weight.data[1:])
    both("shared", tied, tied)

    wrapped = {"epoch": 3, "state_dict": {"module." + k: v
                                          for k, v in state.items()},
               "best": torch.tensor(0.5), "arch": "block",
               "args": {"lr": 0.1, "names": {"a", "b"}, "big": 1 << 80,
                        "raw": b"\x00\xff", "none": None, "t": (1, 2.5)}}
    opt = torch.optim.Adam(block.parameters())
    block(torch.randn(2, 3, 5, 5)).sum().backward()
    opt.step()
    state = {k: v.clone() for k, v in block.state_dict().items()}
    wrapped["state_dict"] = {"module." + k: v for k, v in state.items()}
    wrapped["optimizer"] = opt.state_dict()
    both("wrapped", wrapped, state)
    prefixed = {"module." + k: v for k, v in state.items()}
    both("kept-prefix", wrapped, prefixed, ["--keep-prefix"])
    both("compiled", {"model": {"_orig_mod.module." + k: v
                                for k, v in state.items()}}, state)
    both("deep", {"model": {"state_dict": state, "version": 1}}, state)
    both("by-key", {"state_dict": state, "models": [{"ema": types}]}, types,
         ["--key", "models.0.ema"])
    both("stripped", {"state_dict": {"net." + k: v
                                     for k, v in state.items()}}, state,
         ["--strip", "net."])
    both("only", dict(state, extra=torch.ones(3)),
         {k: v for k, v in state.items() if k.startswith("bn.")},
         ["--only", "bn."])
    other = simple.state_dict()
    pair = {**{"generator." + k: v for k, v in state.items()},
            **{"discriminator." + k: v for k, v in other.items()}}
    both("pair", {"generator": {"module." + k: v for k, v in state.items()},
                  "discriminator": other,
                  "optimizer_g": opt.state_dict(), "epoch": 1}, pair)
    both("list", [torch.ones(2), {"a": torch.zeros(1)}],
         {"0": torch.ones(2), "1.a": torch.zeros(1)})
    both("lone", torch.ones(2, 3), {"tensor": torch.ones(2, 3)})
    space = Namespace()
    space.weights, space.steps = dict(state), 5
    both("object", space, state)

    both("module", block, state)
    both("parallel", torch.nn.DataParallel(block), state)
    both("module-in", {"model": block, "n": 1}, state)

    scripted = torch.jit.script(simple.eval())
    scripted.save(os.path.join(root, "script.pt"))
    expect("script", [], other)
    traced = torch.jit.trace(simple.eval(), torch.randn(1, 3, 6, 6))
    traced.save(os.path.join(root, "trace.pt"))
    expect("trace", [], other)

    # as `zip -9` would pack it again
    with zipfile.ZipFile(os.path.join(root, "flat-zip-2.pt")) as a, \
            zipfile.ZipFile(os.path.join(root, "deflated.pt"), "w",
                            zipfile.ZIP_DEFLATED) as b:
        for name in a.namelist():
            b.writestr(name, a.read(name))
    with np.load(os.path.join(root, "flat-zip-2.npz")) as flat:
        np.savez(os.path.join(root, "deflated.npz"), **flat)
    open(os.path.join(root, "deflated.args"), "w").close()

    arrays = {k: v.numpy() for k, v in state.items()}
    arrays["fortran"] = np.asfortranarray(np.arange(12.).reshape(3, 4))
    for p in range(6):
        name = "numpy-%d" % p
        with open(os.path.join(root, name + ".pt"), "wb") as f:
            pickle.dump({"model": arrays, "author": "nobody"}, f, p)
        expect(name, [], {k: torch.from_numpy(np.ascontiguousarray(v)
                                              .reshape(v.shape))
                          for k, v in arrays.items()})

    # An attack beside real weights: those are taken, nothing runs.
    both("attack", {"state_dict": state,
                    "x": Attack(os.path.join(root, "was-run"))}, state)


def read_safetensors(path):
    with open(path, "rb") as f:
        raw = f.read()
    n = int.from_bytes(raw[:8], "little")
    head = json.loads(raw[8:8 + n])
    head.pop("__metadata__")
    out = {}
    for name, t in head.items():
        begin, end = t["data_offsets"]
        out[name] = np.frombuffer(raw[8 + n + begin:8 + n + end],
                                  DTYPES[t["dtype"]]).reshape(t["shape"])
    return out


def check(root):
    files = tensors = bad = 0
    for name in sorted(os.listdir(root)):
        if not name.endswith(".npz"):
            continue
        base = os.path.join(root, name[:-4])
        want = dict(np.load(base + ".npz"))
        try:
            have = read_safetensors(base + ".safetensors")
        except OSError as e:
            print(e)
            bad += 1
            continue
        files += 1
        if set(want) != set(have):
            print(name, "names differ:", sorted(set(want) ^ set(have)))
            bad += 1
        for k in set(want) & set(have):
            tensors += 1
            a, b = want[k], have[k]
            if a.dtype.newbyteorder("<") != b.dtype or a.shape != b.shape \
                    or a.tobytes() != b.tobytes():
                print(name, k, "differs", a.dtype, b.dtype, a.shape, b.shape)
                bad += 1
    print(files, "files,", tensors, "tensors,", bad, "differences")
    return 1 if bad or not files else 0


if __name__ == "__main__":
    if sys.argv[1] == "make":
        make(sys.argv[2])
    else:
        sys.exit(check(sys.argv[2]))
