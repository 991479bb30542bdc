"""steadiness_tapes.py IN OUT LAG: to frames of head-renderer, found points that
are the true ones of LAG frames before; where the truth rests, they swing by
0.5 px in x instead. Frames are shuffled; one of each clip has no points."""
import random
import sys

import numpy as np

sys.path.insert(0, "tests/py")
import facet_tape  # noqa: E402

lag = int(sys.argv[3])
with open(sys.argv[1], "rb") as f:
    items = list(facet_tape.read(f))
truth = {(it["fields"]["clip"], it["fields"]["frame_index"]):
         it["fields"]["landmarks_true"] for it in items}
out = []
for it in items:
    f = it["fields"]
    k = f["frame_index"]
    p = truth[f["clip"], max(k - lag, 0)].copy()
    if f["clip"].endswith("still"):
        p[:, 0] += 0.5 if k % 2 else -0.5
    fields = {n: f[n] for n in ("clip", "frame_index", "fps")}
    fields["landmarks_true"] = facet_tape.tensor(f["landmarks_true"])
    if k != 20:
        fields["landmarks"] = facet_tape.tensor(np.ascontiguousarray(p))
    out.append(({"v": 1, "kind": "item", "id": it["id"], "fields": fields},
                []))
random.Random(1).shuffle(out)
with open(sys.argv[2], "wb") as f:
    facet_tape.write(f, out)
