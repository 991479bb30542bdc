#!/usr/bin/python3
"""A stage in Python in ten lines: docs/python.md, examples/blur.yaml."""
import facet
import numpy as np

@facet.stage(takes="frame u8[H,W,3]", gives="frame u8[H,W,3]")
def blur(item, radius=facet.param(4, min=1, max=100, unit="px", help="reach of the mean")):
    "Blurs a picture by the mean of each square."
    f, n = np.pad(item["frame"].astype(float), [(radius + 1, radius)] * 2 + [(0, 0)], "edge"), 2 * radius + 1
    s = f.cumsum(0).cumsum(1)  # sums of all that is above and to the left
    return {"frame": ((s[n:, n:] - s[:-n, n:] - s[n:, :-n] + s[:-n, :-n]) / n**2 + 0.5).astype("u1")}

facet.main()
