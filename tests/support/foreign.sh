# For scripts that run stages in Python: a folder of their own with one for the
# sockets, the tests' stages, fail. Sourced from the repository root with
# $modules set, as in modules='import zmq, msgpack' (which tests/py/needs.py
# reads); where one is missing the script is skipped.
"$PYTHON" -c "$modules" 2> /dev/null || {
	echo "one of Python's modules is missing: $modules"
	exit 77
}
root=$PWD
facet=$root/$BUILD/facet
export FACET_STAGES="$root/$BUILD/stages:$root/$BUILD/tests/stages"
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
mkdir run
export XDG_RUNTIME_DIR="$dir/run"
# What a script's last command said is in its file `err`.
fail() {
	echo "FAILED: $*" >&2
	[ ! -f err ] || tail -n 20 err | cat -v >&2
	exit 1
}
