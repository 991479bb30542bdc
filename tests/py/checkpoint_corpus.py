"""Writes tests/fuzz/corpus/checkpoint: checkpoints of the run in
tests/fuzz/fuzz_checkpoint.c, good ones and some with one thing wrong. From the
repository's root: /usr/bin/python3 tests/py/checkpoint_corpus.py

The checksum is left to be wrong: the target looks behind it as well.
"""
import json
import os
import struct

ROOT = "tests/fuzz/corpus/checkpoint"


def f64(x):
    return "f64 %016x (%g)" % (struct.unpack("<Q", struct.pack("<d", x))[0], x)


def i64(x):
    return "i64 %016x (%d)" % (x & (2**64 - 1), x)


def u64(x):
    return "u64 %016x (%d)" % (x, x)


def boolean(x):
    return "bool %016x (%s)" % (x, "true" if x else "false")


def texts():
    m = {"facet.checkpoint": "1", "facet.optim.net": "adamw",
         "facet.schedule.net": "plateau", "facet.value.epoch": u64(7),
         "facet.value.best": f64(0.125), "facet.checksum": "0" * 16}
    for name, value in {
            "steps": i64(9), "averaged": i64(9), "lr": f64(0.25),
            "momentum": f64(0), "nesterov": boolean(0), "beta1": f64(0.9),
            "beta2": f64(0.999), "eps": f64(1e-8), "weight_decay": f64(0),
            "clip_norm": f64(0), "clip_value": f64(0),
            "ema": f64(0.5)}.items():
        m["facet.optim.net." + name] = value
    for name, value in {
            "lr": f64(0.5), "warmup": f64(0), "factor": f64(0.5),
            "every": f64(0), "total": f64(0), "lr_min": f64(0),
            "patience": i64(2), "cooldown": i64(1), "threshold": f64(0),
            "larger_is_better": boolean(0), "best": f64(0.125), "bad": i64(1),
            "cooling": i64(1), "scale": f64(0.5),
            "started": boolean(1)}.items():
        m["facet.schedule.net." + name] = value
    return m


def tensors():
    two = struct.pack("<2f", 1.5, -0.0)
    count = struct.pack("<q", 9)
    return {"net.w": ("F32", [2, 1], two),
            "net.running_mean": ("F32", [2], two),
            "net.num_batches_tracked": ("I64", [], count),
            "optim.net.w.exp_avg": ("F32", [2, 1], two),
            "optim.net.w.exp_avg_sq": ("F32", [2, 1], two),
            "ema.net.w": ("F32", [2, 1], two),
            "ema.net.running_mean": ("F32", [2], two),
            "ema.net.num_batches_tracked": ("I64", [], count)}


def write(name, m, t):
    head, data = {"__metadata__": m}, b""
    for key, (dtype, shape, raw) in t.items():
        head[key] = {"dtype": dtype, "shape": shape,
                     "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(head, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(os.path.join(ROOT, name), "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + data)


def main():
    os.makedirs(ROOT, exist_ok=True)
    write("good", texts(), tensors())
    m = texts()
    m["note"] = "of \"somebody\" \\ \u00e9\n"
    m["facet.schedule.net.started"] = boolean(0)
    m["facet.value.best"] = f64(float("inf"))
    write("note", m, tensors())
    write("version-2", dict(texts(), **{"facet.checkpoint": "2"}), tensors())
    write("plateau", dict(texts(), **{"facet.schedule.net.bad": i64(3)}),
          tensors())
    write("steps", dict(texts(), **{"facet.optim.net.steps": i64(-1)}),
          tensors())
    write("other-value", dict(texts(), **{"facet.value.more": u64(1)}),
          tensors())
    t = tensors()
    t["net.num_batches_tracked"] = ("I64", [], struct.pack("<q", -2))
    write("counter", texts(), t)
    t = tensors()
    t["net.w"] = ("F32", [2, 1], struct.pack("<2f", 1, float("nan")))
    write("nan", texts(), t)
    t = tensors()
    t["net.w"] = ("F32", [2], t["net.w"][2])
    write("flat", texts(), t)
    t = tensors()
    del t["ema.net.running_mean"]
    write("missing", texts(), t)


main()
