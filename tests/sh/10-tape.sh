# facet tape: every form of value, text there and back, joining, comparing,
# and what bad input is answered with.
# needs: c:python3 facet py:numpy
set -eu
facet=$(pwd)/$BUILD/facet
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"

fail() { echo "FAILED: $*" >&2; exit 1; }
# answers STATUS TEXT COMMAND...: exit status, and a text on stderr or stdout
answers() {
	status=$1 text=$2
	shift 2
	got=0
	"$@" > out.txt 2>&1 || got=$?
	[ "$got" -eq "$status" ] || { cat out.txt; fail "exit $got: $*"; }
	grep -qF -- "$text" out.txt || { cat out.txt; fail "no '$text': $*"; }
}

printf 'x,y,z\n1,2,3\n4, 5.5 ,6\n' > p.csv
printf 'P6\n2 2\n255\n\001\002\003\004\005\006\007\010\011\012\013\014' > a.ppm
"$facet" tape make -o x.tape frame=a.ppm name=str:abc yaw=f64:3.5 n=i64:-7 \
	ok=bool:true none=nil: points=csv:p.csv q=csv.f64:p.csv \
	'h=f16[3]:1,2.5,nan' 'b=bf16[2]:1 -inf' 'u=u8[4,5,6]:noise 3' \
	'e=f32[0,3]:' 's=f32[]:0.1' -- \
	'name=str:"quoted" \ and	tab' \
	't=i64[2]:9223372036854775807,-9223372036854775808' \
	'w=u16[2]:0,65535' 'i=i32[2,1]:-5 6' 'r=f64[2,3]:ramp' 'f=u8[9]:fill 7'

# What is shown is what was made.
cat > want.txt <<'W'
item: id=a12d65f2f38ea139058ef4b564889495
  frame u8[2,2,3]
    1 2 3
    4 5 6
    7 8 9
    10 11 12
  name str "abc"
  yaw f64 3.5
  n i64 -7
  ok bool true
  none nil
  points f32[2,3]
    1 2 3
    4 5.5 6
W
"$facet" tape show --full -n 1 x.tape | head -14 > got.txt
diff want.txt got.txt
answers 0 'f16[3]              min 1  max 2.5  mean 1.75  nan 1' \
	"$facet" tape show x.tape
answers 0 '"w":{"dtype":"u16","shape":[2],"min":0,"max":65535' \
	"$facet" tape show --json x.tape
answers 0 '"h":{"dtype":"f16","shape":[3],"min":1,"max":2.5,"mean":1.75,"nan":1,"data":[1,2.5,null]}' \
	"$facet" tape show --json --full x.tape
[ "$("$facet" tape show --json x.tape | wc -l)" -eq 2 ] || fail "json lines"

# Text and back: the same items and ids, and the same bytes.
"$facet" tape show --full x.tape | "$facet" tape make --text - -o y.tape
cmp x.tape y.tape
cat > hand.txt <<'W'
# a tape written by hand
item: kind=ack attempt=2 epoch=9
item: id=000102030405060708090a0b0c0d0e0f parent=ffffffffffffffffffffffffffffffff
  item str "a \"field\" named item\n\u00e9"   # and a comment
  m f32[2,2] 1 2,
             3 4
W
"$facet" tape make --text hand.txt -o hand.tape
answers 0 'kind ack  attempt 2  epoch 9' "$facet" tape show hand.tape
answers 0 '"item":"a \"field\" named item\né"' "$facet" tape show --json hand.tape

# Taking fields out, and in again.
"$facet" tape get -o f.png x.tape frame
"$facet" tape get -o p.npy x.tape points
"$facet" tape get -n 1 -o t.npy x.tape t
"$facet" tape make frame=f.png points=p.npy > back.tape
"$facet" tape make frame=a.ppm points=p.csv | "$facet" tape diff back.tape -
"$PYTHON" -c "
import numpy as np
assert np.load('p.npy').tolist() == [[1, 2, 3], [4, 5.5, 6]]
t = np.load('t.npy')
assert t.dtype == np.int64 and t.tolist() == [2**63 - 1, -2**63], t"
[ "$("$facet" tape get x.tape name)" = abc ] || fail "get a string"
[ "$("$facet" tape get - points < x.tape)" = "1 2 3
4 5.5 6" ] || fail "get numbers"
answers 3 "has no field 'pints' (did you mean 'points'?)" \
	"$facet" tape get x.tape pints
answers 3 "'x.tape' has 2 items" "$facet" tape get -n 2 x.tape t
answers 3 "numpy has no bf16" "$facet" tape get -o b.npy x.tape b
answers 3 "'name' is no tensor" "$facet" tape get -o b.png x.tape name

# Joining and cutting.
"$facet" tape cat x.tape - hand.tape < y.tape > all.tape
[ "$("$facet" tape show --json all.tape | wc -l)" -eq 6 ] || fail "cat"
"$facet" tape cat --skip 2 -n 2 all.tape | "$facet" tape diff --ids - x.tape
"$facet" tape make --repeat 3 a=i64:1 -- a=i64:2 > six.tape
[ "$("$facet" tape show --json six.tape | grep -o '"id":"[0-9a-f]*"' |
	sort -u | wc -l)" -eq 6 ] || fail "ids of repeated items"

# Comparing.
"$facet" tape make 'a=f32[3]:1,2,1000' > a.tape
"$facet" tape make 'a=f32[3]:1,2.01,1001' --  b=i64:1 > b.tape
answers 1 "item 0: field 'a': element 1 is 2 against 2.00999" \
	"$facet" tape diff a.tape b.tape
answers 1 "1 items against 2" "$facet" tape diff --tol 0.01 a.tape b.tape
"$facet" tape cat -n 1 b.tape | "$facet" tape diff --tol 0.01 a.tape -
"$facet" tape make --id 000102030405060708090a0b0c0d0e0f \
	'a=f32[3]:1,2,1000' > c.tape
"$facet" tape diff a.tape c.tape
answers 1 "item 0: id " "$facet" tape diff --ids a.tape c.tape
"$facet" tape make --kind fail 'a=f32[3]:1,2,1000' > d.tape
answers 1 "kind item against fail" "$facet" tape diff a.tape d.tape

# Bad input.
answers 3 "'p.csv' is not a tape" "$facet" tape show p.csv
answers 2 "'p.csv' is not a tape" "$facet" tape diff a.tape p.csv
answers 3 "cannot open 'none.tape': No such file" "$facet" tape cat none.tape
head -c 60 x.tape > cut.tape
answers 3 "'cut.tape' ends inside item 0, at byte 60" \
	"$facet" tape show cut.tape
answers 2 "did you mean '--full'" "$facet" tape show --ful x.tape
answers 2 "did you mean 'show'" "$facet" tape shwo x.tape
answers 2 "say str:foo" "$facet" tape make x=foo
answers 2 "set twice" "$facet" tape make x=i64:1 x=i64:2
answers 3 "x: f32[2] needs 2 values, there are 1" \
	"$facet" tape make 'x=f32[2]:1'
answers 3 "x: '3' follows the value" "$facet" tape make 'x=f32[2]:1,2,3'
answers 3 "'256' is not a u8" "$facet" tape make 'x=u8[1]:256'
printf '1,2\n3,four\n' > bad.csv
answers 3 "'bad.csv' line 2 column 2: 'four' is not a number" \
	"$facet" tape make x=bad.csv
printf '1,2\n3\n' > bad.csv
answers 3 "line 2 has 1 columns" "$facet" tape make x=bad.csv
printf 'item:\n a i64 1\n a i64 2\n' > bad.txt
answers 3 "'bad.txt': line 3: field 'a' occurs twice" \
	"$facet" tape make --text bad.txt
# A tape that could not be made whole does not appear.
answers 3 "none.png" "$facet" tape make -o half.tape a=i64:1 -- b=none.png
[ ! -e half.tape ] || fail "half a tape"
[ -z "$(ls -A | grep '^\.tmp')" ] || fail "a temporary file stays"
for verb in make cat show get diff; do
	answers 0 "usage: facet tape $verb" "$facet" tape $verb --help
done
if [ -e /dev/full ]; then
	got=0
	"$facet" tape cat x.tape > /dev/full 2> out.txt || got=$?
	[ "$got" -eq 3 ] || fail "a full disk gives $got"
	grep -q 'No space left' out.txt
fi
