# landmark-depth against PyTorch: the same network with seeded weights, behind
# face-alignment's own drawing of the points, written out here; points inside,
# at every border and beyond.
# needs: all c:python3 py:msgpack py:numpy py:torch
set -eu
. "$(pwd)/tests/support/field.sh"
"$PYTHON" -c 'import torch' 2> /dev/null || { echo "no torch"; exit 77; }
bin=$(pwd)/$BUILD/stages
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
fail() { echo "FAILED: $*" >&2; exit 1; }
export OMP_WAIT_POLICY=passive

"$PYTHON" - "$dir" <<'P'
import hashlib, math, sys
sys.path.insert(0, "tests/py")
import numpy as np
import torch
import facet_tape
from fan_torch import write_safetensors
from nets_torch import resnet_depth, seed_weights
dir = sys.argv[1]
net = resnet_depth(blocks=(1, 1, 2, 1), width=8).eval()
seed_weights(net)
write_safetensors(dir + "/depth.safetensors",
                  {k: v.numpy() for k, v in net.state_dict().items()
                   if not k.endswith("num_batches_tracked")}, {})

def gaussian(size=13, sigma=0.25):
    c = 0.5 * size + 0.5
    g = np.empty((size, size))
    for i in range(size):
        for j in range(size):
            g[i][j] = math.exp(-((j + 1 - c) / (sigma * size)) ** 2 / 2 -
                               ((i + 1 - c) / (sigma * size)) ** 2 / 2)
    return g

def draw(image, point, sigma=2):  # face-alignment, utils.py, draw_gaussian
    ul = [math.floor(p - 3 * sigma) for p in point]
    br = [math.floor(p + 3 * sigma) for p in point]
    h, w = image.shape
    if ul[0] > w or ul[1] > h or br[0] < 1 or br[1] < 1:
        return image
    g = gaussian(6 * sigma + 1)
    gx = [max(1, -ul[0]), min(br[0], w) - max(1, ul[0]) + max(1, -ul[0])]
    gy = [max(1, -ul[1]), min(br[1], h) - max(1, ul[1]) + max(1, -ul[1])]
    ix = [max(1, ul[0]), min(br[0], w)]
    iy = [max(1, ul[1]), min(br[1], h)]
    image[iy[0] - 1:iy[1], ix[0] - 1:ix[1]] += g[gy[0] - 1:gy[1], gx[0] - 1:gx[1]]
    image[image > 1] = 1
    return image

rng = np.random.default_rng(4)
frame = rng.integers(0, 256, (256, 256, 3)).astype(np.uint8)
# The box whose crop is the whole frame, pixel by pixel.
w = 249.6 / 2
box = np.array([127.5 - w / 2, 127.5 + .12 * w - w / 2,
                127.5 + w / 2, 127.5 + .12 * w + w / 2], "<f4")
# As FAN's quarter step gives them (4 cell + 1.5 +- 1), and anything.
points = 4 * rng.integers(1, 63, (68, 2)) + 1.5 + rng.choice([-1, 1], (68, 2))
points[:20] += rng.uniform(-.45, .45, (20, 2))
points[20:34] = [(.5, 80.5), (3.5, 30.5), (4.5, 5.5), (5.5, 6.5), (6.5, 4.5),
                 (254.5, 90.5), (251.5, 252.5), (90.5, 255.5), (-.5, 40.5),
                 (60.5, -3.5), (300.5, 60.5), (60.5, 262.5), (7.5, 7.5), (5.5, 5.5)]
planes = np.zeros((68, 256, 256))
for i, p in enumerate(points + .5):
    if p[0] > 0 and p[1] > 0:
        draw(planes[i], p)
x = np.concatenate([frame.transpose(2, 0, 1) / 255., planes]).astype("<f4")
with torch.no_grad():
    z = net(torch.tensor(x)[None])[0].numpy().reshape(68)
np.save(dir + "/z.npy", z)
fields = {"frame": facet_tape.tensor(frame), "box": facet_tape.tensor(box),
          "landmarks": facet_tape.tensor(points.astype("<f4"))}
with open(dir + "/in.tape", "wb") as f:
    facet_tape.write(f, [({"v": 1, "kind": "item", "fields": fields,
                           "id": hashlib.md5(b"x").digest()}, [])])
P
"$bin/landmark-depth" --stdio --model "$dir/depth.safetensors" --kernels exact \
	< "$dir/in.tape" > "$dir/out.tape"
"$PYTHON" - "$dir" <<'P' || fail "other depths than PyTorch's"
import sys
sys.path.insert(0, "tests/py")
import numpy as np
import facet_tape
d = sys.argv[1]
a, = facet_tape.read(open(d + "/in.tape", "rb"))
b, = facet_tape.read(open(d + "/out.tape", "rb"))
p, q = a["fields"]["landmarks"], b["fields"]["landmarks"]
assert np.array_equal(p, q[:, :2])
z = np.load(d + "/z.npy")
assert np.ptp(z) > 1e-2, np.ptp(z)  # the network does tell points apart
# The crop is resampled where it need not be: to a few 1e-5 of a grey level.
assert np.abs(q[:, 2] - z).max() < 1e-4 * np.abs(z).max(), np.abs(q[:, 2] - z).max()
P
rc=0
"$bin/landmark-depth" --stdio --model lift-384 < "$dir/in.tape" > /dev/null 2> "$dir/log" || rc=$?
[ $rc != 0 ] && grep -q "lift-384" "$dir/log" || fail "lift-384 passed: $(cat "$dir/log")"

# The whole way of face-alignment, with small seeded weights for all three: a
# picture goes through and is stored with its depths.
"$PYTHON" - "$dir" <<'P'
import sys
sys.path.insert(0, "tests/py")
import goldens_s3fd
from fan_torch import write_safetensors
from nets_torch import FAN, seed_weights
def save(name, net):
    write_safetensors(sys.argv[1] + "/" + name,
                      {k: v.numpy() for k, v in net.state_dict().items()
                       if not k.endswith("num_batches_tracked")}, {})
save("s3fd.safetensors", goldens_s3fd.seeded_s3fd())
save("fan.safetensors", seed_weights(FAN(1, 16, 8, 16)))
P
"$bin/head-renderer" --stdio --heads 1 --frames 1 --size 128 |
	"$bin/sample-writer" --stdio --root "$dir/pictures" --pose no --landmarks no > /dev/null
"$BUILD/facet" run -q pipelines/face-alignment.yaml --set pictures="$dir/pictures" \
	--set out="$dir/out" --set detector="$dir/s3fd.safetensors" \
	--set landmarks="$dir/fan.safetensors" --set depth="$dir/depth.safetensors" \
	> "$dir/log" 2>&1 || fail "$(cat "$dir/log")"
grep -q ',ok,' "$dir/out/index.csv" || fail "$(cat "$dir/out/index.csv")"
