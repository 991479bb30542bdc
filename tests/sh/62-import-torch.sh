# facet import-torch over files that PyTorch writes here and now: both
# containers, all protocols and types, nesting, modules, TorchScript; every
# tensor is compared bit for bit. And nothing that a pickle asks for is run.
# needs: c:python3 facet py:numpy py:torch
set -eu
facet=$PWD/$BUILD/facet
script=$PWD/tests/py/torch_files.py
"$PYTHON" -c 'import torch, numpy' 2>/dev/null || { echo "no torch"; exit 77; }
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"

fail() { echo "FAILED: $*" >&2; exit 1; }
# answers STATUS TEXT COMMAND...
answers() {
	status=$1 text=$2 got=0
	shift 2
	"$@" > said 2>&1 || got=$?
	[ "$got" -eq "$status" ] || { cat said; fail "exit status $got: $*"; }
	grep -qF -- "$text" said || { cat said; fail "no '$text': $*"; }
}

mkdir t
"$PYTHON" "$script" make t > made.txt 2>&1 || { cat made.txt; exit 1; }
for f in t/*.pt; do
	case $f in t/refused*) continue ;; esac
	base=${f%.pt}
	xargs -d '\n' -a "$base.args" "$facet" import-torch "$f" \
		-o "$base.safetensors" > said 2>&1 || { cat said; fail "$f"; }
done
"$PYTHON" "$script" check t || fail "tensors differ"
[ ! -e t/was-run ] || fail "the attack ran"
# The attack is one: PyTorch itself falls for it, unless it is to read weights
# only (the default from 2.6 on; old ones do not know the word).
"$PYTHON" - > said 2>&1 <<'E' || { cat said; fail "torch.load"; }
import inspect, torch
knows = "weights_only" in inspect.signature(torch.load).parameters
torch.load("t/attack-zip-2.pt", **({"weights_only": False} if knows else {}))
E
[ -e t/was-run ] || fail "the attack is none"

# What is said.
answers 0 "prefix     'module.' taken off" "$facet" import-torch \
	t/wrapped-old-2.pt -o a.safetensors
grep -q "left out   optimizer: 12 tensors" said || fail "the optimiser"
grep -q "^t/wrapped-old-2.pt: PyTorch legacy, state_dict$" said || fail "format"
answers 0 "sets       several" "$facet" import-torch t/pair-zip-2.pt \
	-o a.safetensors
answers 0 "2 tensors of int8 or int16 to i32" "$facet" import-torch \
	t/types-zip-2.pt -o a.safetensors
answers 0 "optimizer.state.1.exp_avg" "$facet" import-torch --all --list \
	t/wrapped-zip-2.pt
answers 0 "z: its type is complex64" "$facet" import-torch --skip-unsupported \
	t/refused-complex.pt -o a.safetensors
cp t/flat-zip-2.pt "model.pth.tar"
answers 0 "written    model.safetensors" "$facet" import-torch model.pth.tar
cp t/script.pt FAN.zip
answers 0 "written    FAN.safetensors" "$facet" import-torch FAN.zip
cmp -s model.safetensors t/flat-zip-2.safetensors && fail "no name in the file"
grep -qF '"source":"model.pth.tar (PyTorch zip)"' model.safetensors ||
	fail "no source in the file"

# What is refused, and nothing is left behind then.
answers 3 "tensor 'z' cannot be written: its type is complex64" \
	"$facet" import-torch t/refused-complex.pt -o no.safetensors
answers 3 "pickle protocol 0" "$facet" import-torch t/refused-protocol-0.pt \
	-o no.safetensors
answers 3 "there is no 'ema'" "$facet" import-torch --key ema \
	t/wrapped-zip-2.pt -o no.safetensors
answers 2 "starts with 'x.'" "$facet" import-torch --strip x. \
	t/flat-zip-2.pt -o no.safetensors
answers 3 "cannot open 'none.pt'" "$facet" import-torch none.pt
answers 3 "is a folder" "$facet" import-torch t
answers 3 "a safetensors file, not PyTorch's" "$facet" import-torch \
	a.safetensors -o no.safetensors
answers 2 "no FILE" "$facet" import-torch
answers 2 "did you mean '--strip'" "$facet" import-torch --stirp x t/a.pt
answers 2 "--key needs a value" "$facet" import-torch t/a.pt --key
answers 0 "usage: facet import-torch" "$facet" import-torch --help
size=$(wc -c < t/types-old-2.pt)
head -c $((size - 10)) t/types-old-2.pt > cut.pt
# At one or inside one: PyTorch orders storages by their addresses.
answers 3 "the file ends" "$facet" import-torch cut.pt -o no.safetensors
grep -qE "the file ends (at|inside) storage '[0-9]+'" said || fail "which storage"
head -c 1000 t/types-zip-2.pt > cut.pt
answers 3 "zip archive" "$facet" import-torch cut.pt -o no.safetensors
"$PYTHON" - <<'P'
import io, tarfile, zipfile
t = tarfile.open("old.tar", "w", format=tarfile.USTAR_FORMAT)
for n in ("sys_info", "pickle", "tensors", "storages"):
    t.addfile(tarfile.TarInfo(n), io.BytesIO())
t.close()
def archive(name, entries):
    with zipfile.ZipFile(name, "w", zipfile.ZIP_DEFLATED) as z:
        for n, b in entries:
            z.writestr(n, b)
archive("script1.pt", [("m/version", "1"), ("m/model.json", "{}")])
archive("other.zip", [("readme.txt", "hello")])
archive("out.pt", [("m/data.pkl", "N."), ("m/../../x", "1")])
archive("big.pt", [("m/data.pkl", "N."), ("m/byteorder", "big")])
# a small archive that unpacks to 150 MB of pickled numbers
archive("bomb.pt", [("m/data.pkl", b"K\1" * (150 << 19))])
P
answers 3 "tar file, as PyTorch before 0.1.10" "$facet" import-torch old.tar
answers 3 "TorchScript archive of PyTorch 1.0" "$facet" import-torch script1.pt
answers 3 "but not of PyTorch" "$facet" import-torch other.zip
answers 3 "impossible name" "$facet" import-torch out.pt
answers 3 "big-endian" "$facet" import-torch big.pt
answers 3 "more than" "$facet" import-torch bomb.pt
[ ! -e no.safetensors ] || fail "a file after a failure"
