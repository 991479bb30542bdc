# The source tree keeps its promises: includes, outside libraries, lengths,
# banned calls; and every header compiles alone.
# needs: c:python3
set -eu
"$PYTHON" tests/py/layers.py

# The check itself: a tree in which everything is wrong, one thing a line.
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
mkdir -p "$dir/lib/data" "$dir/lib/nn" "$dir/stages"
cat > "$dir/lib/data/bad.c" <<'C'
#include "lib/flow/stage.h"
#include <zmq.h>
#include "tensor.h"
void f(char *s) { strcpy(s, "x"); }
void g(void) { char *p = malloc(3); }
void h(void) { printf("x"); }
void i(void) { fprintf(stderr, "x"); }
/* malloc(3), strcpy(a) in a comment */ char *t = "printf(1)";
/* TODO */
C
cat > "$dir/stages/bad.c" <<'C'
#include "lib/flow/link.h"
#include <msgpack.h>
C
cat > "$dir/lib/nn/bad.c" <<'C'
#include <dnnl.h>
#include "lib/nn/dnnl.h"
#include <cblas.h>
CLONES static int j(void);
CLONES
static int j(void);
CLONES int k(void);
C
cat > "$dir/lib/nn/dnnl_good.c" <<'C'
#include <dnnl.h>
#include "lib/nn/dnnl.h"
C
i=0
while [ $i -lt 250 ]; do echo; i=$((i + 1)); done > "$dir/lib/data/long.h"
if "$PYTHON" tests/py/layers.py "$dir" > "$dir/out"; then
	echo "the check finds nothing in a bad tree" >&2
	exit 1
fi
cut -d: -f1,2 "$dir/out" | sort > "$dir/got"
sort > "$dir/want" <<'W'
17 breaches
lib/data/bad.c:1
lib/data/bad.c:2
lib/data/bad.c:3
lib/data/bad.c:4
lib/data/bad.c:5
lib/data/bad.c:6
lib/data/bad.c:7
lib/data/bad.c:9
lib/data/long.h:1
lib/data/long.h:250
lib/nn/bad.c:1
lib/nn/bad.c:2
lib/nn/bad.c:3
lib/nn/bad.c:5
lib/nn/bad.c:7
stages/bad.c:1
stages/bad.c:2
W
sed -i 's/^5 files, //' "$dir/got"
diff "$dir/want" "$dir/got"

find lib cli stages tests bench examples -name '*.h' |
	xargs -n 12 -P "$(nproc)" "${CC:-gcc}" -std=c11 -Wall -Wextra -Wpedantic \
	-Werror -fsyntax-only -D_GNU_SOURCE -I. -x c
