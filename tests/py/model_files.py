"""Weight files for the test of `facet model`, and the comparison.

  model_files.py make DIR    writes networks at their published sizes (files of
                             zeros, which take no room on disk) and small odd
                             files, with what PyTorch and numpy know of them in
                             DIR/want.json
  model_files.py check DIR NAME JSON [SIDE]
                             compares what `facet model --json` said
  model_files.py mutate DIR SEED FACET
                             changed copies of files: FACET model must say
                             something of each, with exit status 0 or 3
"""
import json
import os
import random
import struct
import subprocess
import sys

import numpy as np

from torch_files import Attack

WORDS = {"float64": "F64", "float32": "F32", "float16": "F16",
         "int64": "I64", "int32": "I32", "uint8": "U8", "bool": "BOOL",
         "int8": "I8"}


def networks():
    """name: as recognised, constructor, channels, h, w as usually run."""
    from nets_torch import (FAN, Detector, Lift, ResNet, S3FD, VGG19,
                            GlobalGenerator, PatchGAN, UNet, resnet_depth)
    return {
        "fan-4": ("fan", lambda: FAN(4), (3, 256, 256)),
        "depth": ("resnet-depth", resnet_depth, (71, 256, 256)),
        "s3fd": ("s3fd", S3FD, (3, 480, 640)),
        "generator": ("global-generator", GlobalGenerator, (6, 224, 224)),
        "unet": ("unet", UNet, (6, 224, 224)),
        "patch-gan": ("patch-gan", PatchGAN, (3, 224, 224)),
        "discriminator": ("discriminator",
                          lambda: ResNet(head="discriminator"), (3, 224, 224)),
        "resnet-18": ("resnet-18", ResNet, (3, 224, 224)),
        "resnet-34": ("resnet-34", lambda: ResNet((3, 4, 6, 3), classes=5994),
                      (3, 224, 224)),
        "resnet-50": ("resnet-50", lambda: ResNet((3, 4, 6, 3), True),
                      (3, 224, 224)),
        "vgg-19": ("vgg-19", VGG19, (3, 224, 224)),
        "face-detector": ("face-detector", Detector, (3, 320, 320)),
        "lift": ("lift", Lift, (136, 1, 1)),
    }


def gflop(net, shape):
    """Multiply-adds x 2 of convolutions and linear layers, by shapes alone."""
    import torch
    from torch import nn
    total = [0]

    def add(m, given, result):
        at = given[0] if isinstance(m, nn.ConvTranspose2d) else result
        total[0] += 2 * m.weight.numel() * int(np.prod(at.shape[2:]))

    hooks = [m.register_forward_hook(add) for m in net.modules()
             if isinstance(m, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear))]
    with torch.no_grad():
        net(torch.empty(1, *shape, device="meta"))
    for h in hooks:
        h.remove()
    return total[0] * 1e-9


def header(tensors, meta):
    """tensors: name, word, shape, bytes."""
    head, at = {"__metadata__": meta}, 0
    for name, word, shape, n in tensors:
        head[name] = {"dtype": word, "shape": list(shape),
                      "data_offsets": [at, at + n]}
        at += n
    text = json.dumps(head).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text, at


def write_arrays(path, arrays, meta=None):
    head, _ = header([(k, WORDS[v.dtype.name], v.shape, v.nbytes)
                      for k, v in arrays.items()], meta or {})
    with open(path, "wb") as f:
        f.write(head)
        for v in arrays.values():
            f.write(np.ascontiguousarray(v).tobytes())


def write_zeros(path, state):
    head, n = header([(k, WORDS[str(v.dtype)[6:]], v.shape,
                       v.numel() * v.element_size())
                      for k, v in state.items()], {})
    with open(path, "wb") as f:
        f.write(head)
        f.truncate(len(head) + n)


def facts(model, net, shape):
    side = [shape]
    if model in ("fan", "global-generator", "patch-gan"):
        side += [(shape[0], s, s) for s in (128, 320)]
    return {"name": model, "prefix": "", "input": list(shape),
            "parameters": sum(p.numel() for p in net.parameters()),
            "buffers": sum(b.numel() for b in net.buffers()),
            "gflop": {"x".join(map(str, s[1:])): gflop(net, s) for s in side},
            "tensors": {k: list(v.shape) for k, v in net.state_dict().items()}}


def make_networks(root, want):
    for name, (model, new, shape) in networks().items():
        net = new().eval().to("meta")
        write_zeros(os.path.join(root, name + ".safetensors"),
                    net.state_dict())
        want[name] = facts(model, net, shape)


def make_torch(root, want):
    """A training checkpoint of small networks, as pose2pose writes one."""
    import torch
    from nets_torch import GlobalGenerator, PatchGAN, ResNet
    torch.manual_seed(3)
    g, d = GlobalGenerator(6, 3, 4, 1, 2), ResNet(width=8,
                                                  head="discriminator")
    opt = torch.optim.Adam(g.parameters())
    g(torch.rand(2, 6, 8, 8))[0].sum().backward()
    opt.step()
    ck = {"generator": {"module." + k: v for k, v in g.state_dict().items()},
          "discriminator": d.state_dict(), "optimizer_g": opt.state_dict(),
          "epoch": 5}
    small = PatchGAN(3, 8).state_dict()
    write_arrays(os.path.join(root, "small.safetensors"),
                 {k: v.numpy() for k, v in small.items()})
    for zipped in (False, True):
        torch.save(ck, os.path.join(root, "zip.pt" if zipped else "old.pt"),
                   _use_new_zipfile_serialization=zipped)
    torch.save({"state_dict": d.state_dict(),
                "x": Attack(os.path.join(root, "was-run"))},
               os.path.join(root, "attack.pt"))
    torch.save({"x": torch.ones(2), "z": torch.ones(2) * 1j},
               os.path.join(root, "complex.pt"))
    torch.jit.trace(d.eval(), torch.rand(1, 3, 32, 32)).save(
        os.path.join(root, "script.pt"))
    count = {k: sum(p.numel() for p in m.parameters())
             for k, m in (("generator", g), ("discriminator", d))}
    # two moments of each, and a step
    want["checkpoint"] = dict(count, state=2 * count["generator"] +
                              len(list(g.parameters())))


def make_odd(root, want):
    rng = np.random.default_rng(5)
    a = {"plain": rng.normal(3, 2, (7, 11)).astype("f4"),
         "half": rng.normal(size=20).astype("f2"),
         "double": np.array([1.7e308, -1.7e308, 1.6e308]),
         "holes": np.array([1, np.nan, -4, np.inf, -np.inf, np.nan], "f4"),
         "none": np.array([np.nan, np.inf], "f4"),
         "empty": np.zeros((0, 5), "f4"),
         "scalar": np.array(2.5, "f4"),
         "whole": np.array([-5, 9], "i4"), "flag": np.array([True, False]),
         "small": np.array([-3], "i1"), "bytes": np.arange(5, dtype="u1"),
         "running_var": np.ones(3, "f4")}
    write_arrays(os.path.join(root, "odd.safetensors"), a, {"note": "x = y"})
    want["odd"] = {}
    for k, v in a.items():
        w = v.astype("f8") if v.dtype.name in (
            "float64", "float32", "float16", "int32", "uint8") else None
        one = {"shape": list(v.shape), "dtype": WORDS[v.dtype.name].lower()}
        if w is not None:
            f = w[np.isfinite(w)].astype("longdouble")
            one.update(nan=int(np.isnan(w).sum()), inf=int(np.isinf(w).sum()))
            if f.size:
                one.update(min=float(f.min()), max=float(f.max()),
                           mean=float(f.mean()), deviation=float(f.std()))
        want["odd"][k] = one
    names = {"a\x1b[31mred": 1, "line\nend": 1, "c1\u009bx": 1, "caf\u00e9": 1,
             '"quoted\\': 1, "long" * 200: 1}
    write_arrays(os.path.join(root, "names.safetensors"),
                 {k: np.zeros(n, "f4") for k, n in names.items()},
                 {"key\x1b]0;title\x07": "\x1b[2Jgone\r\n\u0085"})
    want["names"] = sorted(names)
    # ours, as lib/nn/checkpoint.h has it
    one = np.ones((2, 3), "f4")
    write_arrays(os.path.join(root, "checkpoint.safetensors"),
                 {"net.w": one, "net.running_mean": one, "ema.net.w": one,
                  "optim.net.w.exp_avg": one, "optim.net.w.exp_avg_sq": one},
                 {"facet.checkpoint": "1"})
    # networks by name, with sizes that make no sense
    bad = {"conv_last0.weight": (0, 1 << 31, 1, 1), "conv1.weight": (0,),
           "conv2.conv1.weight": (1 << 40, 0, 3, 3), "l0.weight": (68, 0, 1, 1),
           "layer1.0.conv1.weight": (0, 0, 3, 3), "model.1.weight": (64, 0, 7),
           "features.0.weight": (0, 3, 3, 3), "model.0.weight": (0, 3, 4, 4),
           "inc.double_conv.0.weight": (1 << 50, 0, 3, 3),
           "conv1_1.weight": (0, 3, 3, 3), "in.weight": (1 << 40, 0),
           "stem1.weight": (16, 0, 3, 3)}
    head, _ = header([(k, "F32", s, 0) for k, s in bad.items()], {})
    with open(os.path.join(root, "sizes.safetensors"), "wb") as f:
        f.write(head)


def make(root):
    want = {}
    make_networks(root, want)
    make_torch(root, want)
    make_odd(root, want)
    with open(os.path.join(root, "want.json"), "w") as f:
        json.dump(want, f)


def near(a, b, digits=8):
    """facet prints nine digits."""
    return abs(a - b) <= 10.0 ** -digits * abs(b)


def check_network(said, want, size):
    assert len(said["networks"]) == 1, said["networks"]
    n = said["networks"][0]
    where = size or "x".join(map(str, want["input"][1:]))
    assert n["name"] == want["name"] and n["prefix"] == "", n
    assert "error" not in n, n
    assert n["parameters"] == want["parameters"] == said["parameters"]
    assert said["buffers"] == want["buffers"] and said["state"] == 0
    assert "x".join(map(str, n["input"][1:])) == where
    assert n["input"][0] == want["input"][0]
    assert near(n["gflop"], want["gflop"][where]), (n, want["gflop"])
    assert n["plan_bytes"] > n["arena_bytes"] > 0
    assert {t["name"]: t["shape"] for t in said["tensors"]} == want["tensors"]
    for t in said["tensors"]:
        assert t["count"] == int(np.prod(t["shape"]))
    if "layers" in n:
        assert near(sum(s["gflop"] for s in n["layers"]), n["gflop"], 6)
        assert all(s["seconds"] > 0 for s in n["layers"])
        assert n["layers"][0]["to"][1:] == n["input"][1:]


def check_odd(said, want):
    assert [t["name"] for t in said["tensors"]] == list(want)
    for t in said["tensors"]:
        w = want[t["name"]]
        for k in ("shape", "dtype"):
            assert t[k] == w[k], t
        for k in ("nan", "inf", "min", "max", "mean", "deviation"):
            assert (k in t) == (k in w), (t, w)
            assert k not in t or near(t[k], w[k]), (t, w)
    assert said["metadata"] == {"note": "x = y"}
    assert said["networks"] == [] and said["left_out"] == []


def check_checkpoint(said, want):
    for n in said["networks"]:
        assert n["parameters"] == want[n["prefix"].split(".")[0]], n
    return [n["name"] for n in said["networks"]]


def check(root, name, path, size=None):
    with open(os.path.join(root, "want.json")) as f:
        want = json.load(f)[name]
    with open(path) as f:
        said = json.load(f)
    if name == "odd":
        check_odd(said, want)
    elif name == "names":
        assert sorted(t["name"] for t in said["tensors"]) == want
        assert said["metadata"] == {
            "key\x1b]0;title\x07": "\x1b[2Jgone\r\n\u0085"}
    elif name == "checkpoint":
        found = check_checkpoint(said, want)
        assert found == ["global-generator", "discriminator"], found
        every = size == "all"
        assert said["state"] == (want["state"] if every else 0), said["state"]
        assert every or said["parameters"] == want["generator"] + \
            want["discriminator"]
    else:
        check_network(said, want, size)


def mutate(root, seed, facet):
    random.seed(int(seed))
    for name in ("zip.pt", "old.pt", "odd.safetensors", "small.safetensors"):
        with open(os.path.join(root, name), "rb") as f:
            good = f.read()
        seen = {}
        for i in range(30):
            b = bytearray(good)
            # headers are where lies are told; they stand at the start, and
            # in archives at the end
            for _ in range(random.randint(1, 4)):
                near_end = name == "zip.pt" and random.random() < 0.5
                at = random.randrange(min(len(b), 3000))
                b[-1 - at if near_end else at] = random.choice(
                    (0, 0x7f, 0x80, 0xff, random.randrange(256)))
            if i % 10 == 0:
                b = b[:random.randrange(len(b))]
            path = os.path.join(root, "mutant")
            with open(path, "wb") as f:
                f.write(b)
            p = subprocess.run([facet, "model", path, "--stats", "--json"],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            assert p.returncode in (0, 3), (name, i, p)
            seen[p.returncode] = seen.get(p.returncode, 0) + 1
            if p.returncode == 0:
                json.loads(p.stdout)
                assert not p.stderr, p.stderr
            else:
                assert not p.stdout and p.stderr.startswith(b"facet model: ")
                assert p.stderr.count(b"\n") == 1
        assert seen.get(3), (name, seen)


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
