# The engine without oneDNN (make DNNL=0): what knows of it is compiled anew,
# put into a copy of the library, linked without oneDNN, and tests of operators
# and plans pass on OpenBLAS and our own loops alone.
# needs: tests
set -eu
if nm -u "$BUILD/libfacet.a" 2> /dev/null | grep -q '__[at]san_'; then
	echo "not with sanitizers' objects"
	exit 77
fi
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cp "$BUILD/libfacet.a" "$dir/"
grep -lE '^#if FACET_DNNL|lib/nn/(conv_impl|dnnl|dnnl_conv)\.h"' lib/nn/*.c > "$dir/files"
# shellcheck disable=SC2046
xargs -n 2 -P "$(nproc)" sh -c 'for f; do
	${CC:-gcc} -std=c11 -O2 -Wall -Wextra -Wpedantic -Werror -fopenmp -I. \
		-D_GNU_SOURCE -DFACET_DNNL=0 $(pkg-config --cflags openblas) \
		-c -o "$0/$(basename "$f" .c).o" "$f" || exit 255
done' "$dir" < "$dir/files"
ar r "$dir/libfacet.a" "$dir"/*.o
if nm -u "$dir/libfacet.a" | grep ' U dnnl_'; then
	echo "somebody still calls oneDNN" >&2
	exit 1
fi
for t in test_nn test_nn_conv test_nn_norm; do
	# shellcheck disable=SC2046
	${CC:-gcc} -o "$dir/$t" "$BUILD/obj/tests/$t.o" "$BUILD/libsupport.a" \
		"$dir/libfacet.a" -Wl,--as-needed $(pkg-config --libs openblas) \
		-lxxhash -fopenmp -lm -lpthread -lcmocka
	"$dir/$t" > "$dir/log" 2>&1 || {
		tail -n 20 "$dir/log"
		exit 1
	}
done
