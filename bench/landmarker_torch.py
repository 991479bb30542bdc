#!/usr/bin/python3
"""Time FAN in PyTorch on noise, the peer of bench/landmarker_net.c:
landmarker_torch.py WEIGHTS BATCH RUNS THREADS prints three medians in
milliseconds: eager, eager in channels-last layout, and
jit.optimize_for_inference."""
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), '../tests/py'))
import torch  # noqa: E402
from fan_torch import load_fan  # noqa: E402
import torch_jit  # noqa: E402


def median(model, x, runs):
    t = []
    for i in range(runs + 2):
        start = time.perf_counter()
        model(x)
        if i >= 2:
            t.append(time.perf_counter() - start)
    return sorted(t)[len(t) // 2] * 1e3


def main():
    path, batch, runs, threads = sys.argv[1], *map(int, sys.argv[2:5])
    torch.set_num_threads(threads)
    torch.manual_seed(1)
    x = torch.rand(batch, 3, 256, 256)
    last = torch.channels_last
    with torch.no_grad():
        eager = load_fan(path)
        jit = torch_jit.jit(load_fan(path), x)
        nhwc = load_fan(path).to(memory_format=last)
        print('%.3f %.3f %.3f' % (
            median(eager, x, runs),
            median(nhwc, x.contiguous(memory_format=last), runs),
            median(jit, x, runs)))


if __name__ == '__main__':
    main()
