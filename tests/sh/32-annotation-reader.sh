# annotation-reader: csv and .pts folders, what is set aside, and the stream of
# a training run: order, validation, several folders, replicas, resume.
# needs: all
set -eu
facet=$(pwd)/$BUILD/facet
. "$(pwd)/tests/support/field.sh"
reader=$(pwd)/$BUILD/stages/annotation-reader
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"

fail() { echo "FAILED: $*" >&2; exit 1; }
# values TAPE FIELD: of all items on one line.
values() { field "$1" "$2" | tr -d '"' | tr '\n' ' ' | sed 's/ $//'; }
# points FIRST: 68 points from there, csv columns.
points() { awk -v a="$1" 'BEGIN {for (i = 0; i < 68; i++) printf ",%.2f,%d", a + i % 17, 10 + i}'; }
# pts FIRST FILE: the same as an iBUG file, whose first pixel is (1,1).
pts() {
	awk -v a="$1" 'BEGIN {
		print "version: 1\nn_points:  68\n{"
		for (i = 0; i < 68; i++) printf "%.2f %d.000\n", a + i % 17 + 1, 11 + i
		print "}"}' > "$2"
}

# A csv folder: 40 photos with two faces each, all of them "train".
mkdir csv
{ printf 'path,x0,y0\n'
  for i in $(seq 40); do for k in 1 2; do echo "p/${i}_$k.jpg$(points $i)"; done; done
} > csv/landmarks.csv
{ printf 'path,photo_id,split\n'
  for i in $(seq 40 -1 1); do for k in 2 1; do echo "p/${i}_$k.jpg,photo$i,train"; done; done
} > csv/index.csv
"$reader" --stdio --root csv --split train > all.tape
[ "$(values all.tape path | wc -w)" -eq 80 ] || fail "80 faces"
[ -z "$(values all.tape sample)$(values all.tape role)" ] || fail "order without epochs"
case $(values all.tape path) in "csv/p/1_1.jpg csv/p/1_2.jpg csv/p/2_1.jpg "*) ;; *) fail order;; esac

# The same annotations as .pts: the same points, boxes and names of photos.
mkdir -p pts/trainset/p pts/testset
for i in $(seq 40); do for k in 1 2; do
	pts $i "pts/trainset/p/${i}_$k.pts"; : > "pts/trainset/p/${i}_$k.png"
done; done
pts 7 pts/testset/image_0007.pts; : > pts/testset/image_0007.JPG
"$reader" --stdio --root pts --split train > pts.tape
[ "$(values pts.tape path | wc -w)" -eq 80 ] || fail "80 faces of .pts"
field all.tape landmarks_true | sort > a.txt
field pts.tape landmarks_true | sort > b.txt
cmp a.txt b.txt || fail "csv and .pts differ"
"$reader" --stdio --root pts > test.tape
[ "$(values test.tape path)" = pts/testset/image_0007.JPG ] || fail "testset"
[ "$(values test.tape split)" = test ] || fail "split of testset"

# A training stream: validation once, then epochs without gaps.
stream() { "$reader" --stdio --split train --val-share 0.2 --epochs 3 "$@"; }
stream --root csv > s.tape
stream --root csv > s2.tape
"$facet" tape diff --tol 0 --ids s.tape s2.tape || fail "two runs differ"
for f in sample role epoch val_count epoch_size path; do
	field s.tape $f | tr -d '"' > $f.txt
done
paste -d ' ' sample.txt role.txt epoch.txt val_count.txt epoch_size.txt path.txt > s.txt
awk '
	NR == 1 {val = $4; size = $5}
	$1 != NR - 1 {print "gap"; exit 1}
	$4 != val || $5 != size || val + size != 80 {print "sizes"; exit 1}
	{photo = $6; sub(/_.\.jpg/, "", photo)}
	NR <= val {if ($2 != "val" || $3 != -1) {print "val"; exit 1} held[photo]++; next}
	$2 != "train" || $3 != int((NR - 1 - val) / size) {print "train"; exit 1}
	photo in held {print "a photo on both sides"; exit 1}
	seen[$3 " " $6]++ {print "twice in an epoch"; exit 1}
	{order[$3] = order[$3] $6}
	END {
		# 40 photos at 0.2: 8 expected, deviation 2.5
		if (val < 2 || val > 36 || val % 2) {print "share", val; exit 1}
		for (p in held) if (held[p] != 2) {print "half a photo"; exit 1}
		if (NR != val + 3 * size) {print "length"; exit 1}
		if (order[0] == order[1] || order[1] == order[2]) {print "order"; exit 1}
	}' s.txt || fail "the stream"
[ "$("$facet" tape show s.tape | sed -n 's/^item [0-9]* *//p' | sort -u | wc -l)" -eq "$(wc -l < s.txt)" ] ||
	fail "ids are not unique"
# Who is held back does not change with the number of files, or the seed.
awk '$2 == "val" {print $6}' s.txt > val.txt
head -n 41 csv/landmarks.csv > half; mkdir half.d; mv half half.d/landmarks.csv
cp csv/index.csv half.d/
stream --root half.d --seed 5 > h.tape
field h.tape path | tr -d '"' | sed 's|half.d/|csv/|' | head -n "$(field h.tape val_count | head -n 1)" > hval.txt
[ -s hval.txt ] || fail "no validation in half"
grep -vxFf val.txt hval.txt && fail "another validation"

# Another seed, another order.
stream --root csv --seed 2 > t.tape
field t.tape path | cmp -s - path.txt && fail "the seed changes nothing"

# Replicas share one stream: the same items, each once.
keep=${facet%/facet}/tests/stages/t-tape
for n in 1 2; do
	cat > p.yaml <<Y
version: 1
stages:
  faces:
    run: annotation-reader
    with: {root: csv, split: train, val-share: 0.2, epochs: 3}
    replicas: $n
  all: {run: "$keep", from: faces, with: {file: got$n.tape}}
Y
	"$facet" run --quiet p.yaml > log 2>&1 || { cat log; fail "$n replicas"; }
	"$facet" tape show "got$n.tape" | sed -n "s/^item [0-9]* *//p" | sort > "ids$n"
done
[ "$(sort -u ids1 | wc -l)" -eq "$(wc -l < s.txt)" ] && cmp ids1 ids2 || fail "replicas"

# Resume: validation, then exactly the rest, ids and all.
mkdir run
val=$(head -n 1 val_count.txt)
for at in 0 $((val + 37)) 100000; do
	echo $at > run/position
	stream --root csv --resume run > r.tape
	skip=$((at > val ? at - val : 0))
	{ cat s.txt | head -n "$val"; tail -n +$((val + skip + 1)) s.txt; } > want.txt
	for f in sample role epoch val_count epoch_size path; do
		field r.tape $f | tr -d '"' > $f.txt
	done
	paste -d ' ' sample.txt role.txt epoch.txt val_count.txt epoch_size.txt path.txt | cmp - want.txt ||
		fail "resume at $at"
done
echo $((val + 37)) > run/position
stream --root csv --resume run > r.tape
"$facet" tape cat --skip "$val" -o r1.tape r.tape
"$facet" tape cat --skip $((val + 37)) -o s1.tape s.tape
"$facet" tape diff --tol 0 --ids r1.tape s1.tape || fail "resumed items differ"
stream --root csv --resume nowhere > r.tape
"$facet" tape diff --tol 0 --ids r.tape s.tape || fail "resume without a position"

# More folders: all of one, five an epoch of the other, never for validation.
stream --root csv --more half.d,pts:5 > m.tape
[ "$(field m.tape epoch_size | head -n 1)" -eq $((80 - val + 40 + 5)) ] || fail "size of an epoch"
[ "$(field m.tape path | grep -c '"pts/')" -eq 15 ] || fail "five an epoch"
[ "$(field m.tape path | grep '"pts/' | sort -u | wc -l)" -eq 15 ] || fail "drawn anew"
[ "$(field m.tape path | grep -c '"half.d/')" -eq 120 ] || fail "all of half.d"
field m.tape path | head -n "$val" | grep -q -v '"csv/' && fail "validation of another folder"

# A single bad annotation is set aside by name; the rest comes.
answers() { # STATUS TEXT COMMAND...
	status=$1 text=$2
	shift 2
	got=0
	"$@" > out.tape 2> err.txt || got=$?
	[ "$got" -eq "$status" ] || { cat err.txt; fail "exit $got: $*"; }
	grep -qF -- "$text" err.txt || { cat err.txt; fail "no '$text': $*"; }
}
mkdir bad
{ printf 'path,x0,y0\ngood.jpg%s\nshort.jpg,1,2\n' "$(points 5)"
  echo "nan.jpg$(points 5 | sed 's/,11,/,nan,/')"
  echo "huge.jpg$(points 5 | sed 's/,11,/,1e30,/')"
  echo "flat.jpg$(awk 'BEGIN {for (i = 0; i < 136; i++) printf ",7"}')"
  echo "good.jpg$(points 50)"
} > bad/landmarks.csv
answers 1 "nan.jpg" "$reader" --stdio --root bad
for why in "line 3: 3 columns, 137 expected" "line 4 column 5: 'nan' is no number" \
	"'1e30' is no coordinate" "within one pixel"; do
	grep -qF -- "$why" err.txt || { cat err.txt; fail "no '$why'"; }
done
[ "$(values out.tape path)" = "bad/good.jpg bad/good.jpg" ] || fail "two faces of one picture"
[ "$("$facet" tape show out.tape | sed -n 's/^item [0-9]* *//p' | sort -u | wc -l)" -eq 2 ] || fail "ids of twins"
cp pts/testset/image_0007.pts bad.pts
sed 's/n_points:  68/n_points: 67/' bad.pts > pts/testset/n67.pts
: > pts/testset/n67.jpg
pts 1 pts/testset/alone.pts
head -n 30 bad.pts > pts/testset/cut.pts; : > pts/testset/cut.jpg
head -c 70000 /dev/zero > pts/testset/zero.pts; : > pts/testset/zero.jpg
answers 1 "no picture stands beside 'pts/testset/alone.pts'" "$reader" --stdio --root pts
grep -qF "n67.pts': '67' points, 68 expected" err.txt || fail "67 points"
grep -qF "cut.pts': ends at point 27" err.txt || fail "cut"
grep -qF "zero.pts' has 70000 bytes" err.txt || fail "too large"
[ "$(values out.tape path)" = pts/testset/image_0007.JPG ] || fail "the good one"

# Folders without anything usable, and bad parameters, end it.
mkdir none
answers 3 "'none': no annotation" "$reader" --stdio --root none
answers 3 "no folder 'nowhere'" "$reader" --stdio --root nowhere
printf 'path,x0\na.jpg,1\n' > none/landmarks.csv
answers 3 "none of 1 annotations is usable" "$reader" --stdio --root none
answers 3 "no face of split 'tset' among 80" "$reader" --stdio --root csv --split tset
answers 3 "'none'" "$reader" --stdio --root csv --split train --more none
answers 3 "is not FOLDER or FOLDER:N" "$reader" --stdio --root csv --more ,csv
answers 3 "is not FOLDER or FOLDER:N" "$reader" --stdio --root csv --more csv:-5
echo 12x > run/position
answers 3 "'run/position': '12x' is no position" stream --root csv --resume run
answers 2 "outside" "$reader" --stdio --root csv --val-share 2
