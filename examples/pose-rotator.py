#!/usr/bin/python3
"""pose-rotator as a stage in Python: wants only python3-zmq, -msgpack, -numpy."""
import os, sys
import msgpack, numpy as np, zmq

if "--describe" in sys.argv:
    sys.exit(print("""name: pose-rotator.py
help: Turns 68 points to target poses, as pose-rotator does.
kind: transform
in: [{name: in, fields: "landmarks f32[68,3]"}]
out: [{name: out, fields: "target f32[68,3], pose_deg f32[3], view i64, n_views i64"}]
params:
  - {name: rx, type: floats, default: "-20,-10,0,10,20", unit: deg, help: about x}
  - {name: ry, type: floats, default: "-20,-10,0,10,20", unit: deg, help: about y}"""))

given = dict(a[2:].split("=", 1) for a in sys.argv[1:])  # --rx=-20,0,20
rx, ry = ([float(v) for v in given.get(k, "-20,-10,0,10,20").split(",")] for k in ("rx", "ry"))
sock = zmq.Context().socket(zmq.PAIR)
sock.connect(os.environ["FACET_ENDPOINT"])

def send(kind, **fields):  # arrays as msgpack-numpy writes them
    sock.send(msgpack.packb({"v": 1, "kind": kind, "fields": fields}, default=lambda a: {
        "nd": True, "type": a.dtype.str, "kind": "", "shape": a.shape, "data": a.tobytes()}))

while (head := msgpack.unpackb((frames := sock.recv_multipart())[0]))["kind"] != "end":
    t = head["fields"]["landmarks"]  # small arrays are in the map, large ones in a frame
    data = t["data"] if "data" in t else frames[t["frame"]]
    points = np.frombuffer(data, t["type"]).reshape(t["shape"]).astype(float)
    poses = [(x, y, 0.0) for x in rx for y in ry]
    for view, pose in enumerate(poses):
        (sx, sy, _), (cx, cy, _) = np.sin(np.radians(pose)), np.cos(np.radians(pose))
        turn = np.array([[cy, sy * sx, sy * cx], [0, cx, -sx], [-sy, cy * sx, cy * cx]])
        target = (points - points.mean(0)) @ turn.T + points.mean(0)
        send("item", target=target.astype("<f4"), pose_deg=np.array(pose, "<f4"),
             view=view, n_views=len(poses))
    send("done")
