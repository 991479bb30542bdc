# The wire against Python with msgpack and numpy alone, both directions.
# needs: c:python3 facet py:msgpack py:numpy stages/pose-rotator
set -eu
"$PYTHON" -c 'import msgpack, numpy' 2> /dev/null || {
	echo "python3-msgpack or python3-numpy is missing"
	exit 77
}
PYTHONDONTWRITEBYTECODE=1 "$PYTHON" tests/py/wire_interop.py \
	"$BUILD/facet" "$BUILD/stages/pose-rotator"
