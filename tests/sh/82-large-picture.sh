#!/bin/sh
# Pictures larger than the generator's max-side: the same views as of the
# picture reduced, or cut round the face; smaller ones give the same bytes as
# without the parameter; memory is bounded, and too little of it is said.
# needs: all c:python3 py:msgpack py:numpy
set -eu
"${PYTHON:-python3}" -c 'import numpy, msgpack' 2>/dev/null || exit 77
B=${BUILD:-build}
d=$(mktemp -d)
trap 'rm -rf "$d"' EXIT
"$PYTHON" tests/py/large_picture_check.py "$B" "$d" same halved cut odd memory
