"""A stage for tests, as a landmarker is slow and fails: landmarks_true become
landmarks; some frames take long, every `lose`-th one fails."""
import os
import sys
import time

import msgpack
import zmq

if "--describe" in sys.argv:
    sys.exit(print("""name: points_stage.py
help: Hands on the true points.
kind: transform
in: [{name: in, fields: "landmarks_true f32[68,3], frame_index i64"}]
out: [{name: out, fields: "landmarks f32[68,3]"}]
params:
  - {name: lose, type: int, default: "0", help: "every so many-th frame fails"}
  - {name: slow, type: int, default: "0", help: "ms that each fifth frame takes"}"""))

given = dict(a[2:].split("=", 1) for a in sys.argv[1:])
lose, slow = int(given.get("lose", 0)), int(given.get("slow", 0))
sock = zmq.Context().socket(zmq.PAIR)
sock.connect(os.environ["FACET_ENDPOINT"])


def send(kind, **fields):
    sock.send(msgpack.packb({"v": 1, "kind": kind, "fields": fields}))


while True:
    head = msgpack.unpackb(sock.recv_multipart()[0])
    if head["kind"] == "end":
        break
    fields = head["fields"]
    if fields["frame_index"] % 5 == 0:
        time.sleep(slow / 1000)
    if lose and fields["frame_index"] % lose == 2:
        send("fail", error_code="noface", error_text="no face here")
    else:
        send("item", landmarks=fields["landmarks_true"])
        send("done")
