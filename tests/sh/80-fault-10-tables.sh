# Text files of other programs: every reader of tables takes what spreadsheets
# and scripts write (byte order marks, CRLF, blank lines, separators at line
# ends, quotes, semicolons, capital endings) as the plain file, and says truly
# and with the place what it does not take (decimal commas, UTF-16, no text).
# needs: all
set -eu
facet=$PWD/$BUILD/facet
stages=$PWD/$BUILD/stages
. "$PWD/tests/support/field.sh"
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"

fail() { echo "FAILED: $*" >&2; exit 1; }
answers() { # answers STATUS TEXT COMMAND...
	status=$1 text=$2 got=0
	shift 2
	"$@" > out.tape 2> said || got=$?
	[ "$got" -eq "$status" ] || { cat said; fail "exit status $got: $*"; }
	grep -qF -- "$text" said || { cat said; fail "no '$text': $*"; }
}

# vary FILE: the plain file in each way that must read the same, one after the
# other; the name of the way is in $way, the rest of the arguments is run.
ways="plain bom crlf cr bomcrlf blank trailing quoted spaces semicolon tabs noend capitals"
vary() {
	case $way in
	plain) cat ;;
	bom) printf '\357\273\277'; cat ;;
	crlf) sed 's/$/\r/' ;;
	cr) tr '\n' '\r' ;;
	bomcrlf) printf '\357\273\277'; sed 's/$/\r/' ;;
	blank) sed '1s/^/\n   \n/; 2s/^/\n,,,\n/'; printf '\n\n \n' ;;
	trailing) sed 's/$/,,/' ;;
	quoted) sed 's/[^,]*/"&"/g' ;;
	spaces) sed 's/,/ , /g; s/$/  /' ;;
	semicolon) tr ',' ';' ;;
	tabs) tr ',' '\t' ;;
	noend) head -c -1 ;;
	capitals) sed '1y/abcdefghijklmnopqrstuvwxyz/ABCDEFGHIJKLMNOPQRSTUVWXYZ/' ;;
	esac
}

# annotation-reader: landmarks.csv and index.csv.
points() { awk -v a="$1" 'BEGIN {for (i = 0; i < 68; i++) printf ",%.6f,%.2f", a + i % 17 + 0.123456, 10.5 + i}'; }
{ printf 'path'; awk 'BEGIN {for (i = 0; i < 68; i++) printf ",x%d,y%d", i, i}'; echo
  echo "a.png$(points 3)"; echo "b/c d.png$(points 5)"; } > landmarks
printf 'path,split,name,photo_id\na.png,test,ann,p1\nb/c d.png,test,bob,p2\n' > index
annotations() { # annotations: of the folder d, without the ids
	"$stages/annotation-reader" --stdio --root d --split test > d.tape ||
		fail "$way: annotation-reader"
	for f in path name landmarks_true; do field d.tape $f; done
}
for way in $ways; do
	rm -rf d
	mkdir d
	vary < landmarks > d/landmarks.csv
	vary < index > d/index.csv
	annotations > "annotations.$way"
	cmp annotations.plain "annotations.$way" || fail "$way differs"
done
[ "$(wc -l < annotations.plain)" -ge 6 ] || { cat annotations.plain; fail "annotations"; }
way=plain
mv d/landmarks.csv d/landmarks.CSV
mv d/index.csv d/index.CSV
annotations | cmp annotations.plain - || fail "capital endings"

reader() { "$stages/annotation-reader" --stdio --root d; }
printf 'path;x0;y0\na.png%s\n' "$(points 3 | tr '.,' ',;')" > d/landmarks.csv
rm d/landmarks.CSV
answers 3 "line 2 column 2: '3,123456' has a decimal comma: write 3.123456" reader
{ cat landmarks; printf 'z.png%s\n' "$(points 3 | sed 's/\([0-9]*\)\.\([0-9]*\)/"\1,\2"/g')"; } > d/landmarks.csv
answers 1 "'d/landmarks.csv' line 4 column 2: '3,123456' has a decimal comma" reader
{ cat landmarks; printf '\nz.png%s\n' "$(points 3 | tr . ,)"; } > d/landmarks.csv
answers 1 "'d/landmarks.csv' line 5: 273 columns, 137 expected" reader
grep -q 'are they decimal commas' said || fail "no hint"
iconv -f UTF-8 -t UTF-16 < landmarks > d/landmarks.csv
answers 3 "'d/landmarks.csv': UTF-16: save it as UTF-8" reader
printf 'PK\003\004\000\000' > d/landmarks.csv
answers 3 "'d/landmarks.csv': it is no text" reader
printf '\n1,2\n' > d/landmarks.csv
answers 3 "'d/landmarks.csv' line 2: no column 'path' in the head line ('1', ..)" reader
printf 'path,x0\n"a.png,1\n' > d/landmarks.csv
answers 3 "'d/landmarks.csv' line 2: quoted field starting at byte 8 never ends" reader

# .pts
pts() { awk 'BEGIN {
	print "version: 1\nn_points: 68\n{"
	for (i = 0; i < 68; i++) printf "%.3f %.3f\n", 3 + i % 17, 11 + i
	print "}"}'; }
mkdir p
: > p/x.png
pts_points() { "$stages/annotation-reader" --stdio --root p > p.tape && field p.tape landmarks_true; }
pts > p/x.pts
pts_points > want
printf '\357\273\277' > p/x.pts; pts | sed 's/$/ \r/' >> p/x.pts
pts_points | cmp want - || fail "pts: byte order mark and CRLF"
rm p/x.pts p/x.png
: > p/x.Png
pts | sed 's/: */:/; s/^$/\n/' > p/x.PTS
pts_points | cmp want - || fail "PTS: capital ending, no blanks"
pts | sed '6s/\./,/' > p/x.PTS
answers 3 "p/x.PTS': point 2: '5,000' has a decimal comma: write 5.000" \
	"$stages/annotation-reader" --stdio --root p
pts | iconv -f UTF-8 -t UTF-16 > p/x.PTS
answers 3 "UTF-16" "$stages/annotation-reader" --stdio --root p

# catalog's list
mkdir -p clips/a clips/b
: > clips/a/1.mp4; : > "clips/b/2 x.mp4"; : > clips/b/3.mp4
printf 'path,set,identity\na/1.mp4,train,ann\nb/2 x.mp4,test,bob\n' > list
for way in $ways; do
	vary < list > list.csv
	"$stages/catalog" --stdio --root clips --list list.csv > c.tape ||
		fail "$way: catalog"
	for f in path set identity; do field c.tape $f; done > "list.$way"
	cmp list.plain "list.$way" || fail "catalog: $way differs"
done
[ "$(wc -l < list.plain)" -eq 6 ] || fail "catalog"
printf 'path,set\n\na/1.mp4,x,y\n' > list.csv
answers 3 "'list.csv': line 3: 3 fields, the header has 2" \
	"$stages/catalog" --stdio --root clips --list list.csv

# One column: separators are part of the names.
: > "clips/a/2;x.mp4"; : > "clips/a/3,y z.mp4"
printf 'path\na/2;x.mp4\na/3,y z.mp4\n' > list.csv
"$stages/catalog" --stdio --root clips --list list.csv > c.tape 2> said ||
	fail "one column: $(cat said)"
[ "$(field c.tape path | grep -c 'a/2;x.mp4')" = 1 ] || fail "one column: $(field c.tape path)"
[ "$(field c.tape path | grep -c 'a/3,y z.mp4')" = 1 ] || fail "one column: $(field c.tape path)"

# The same in quotes, and in a list whose only name begins the file's second line.
for list in 'path\n"a/2;x.mp4"\n"a/3,y z.mp4"\n' '"path"\r\n"a/2;x.mp4"\r\na/3,y z.mp4\r\n' \
	'\357\273\277path\n\na/2;x.mp4\na/3,y z.mp4' 'PATH\na/2;x.mp4\n"a/3,y z.mp4"\n'; do
	printf "$list" > list.csv
	"$stages/catalog" --stdio --root clips --list list.csv > c.tape 2> said ||
		fail "one column, $list: $(cat said)"
	[ "$(field c.tape path | grep -c -e 'a/2;x.mp4' -e 'a/3,y z.mp4')" = 2 ] ||
		fail "one column, $list: $(field c.tape path)"
done
# A tab in a name is of the name too: no path has one.
printf 'path\na/4\tt.mp4\n' > list.csv
answers 3 "'list.csv': line 2: the path 'a/4?t.mp4' holds a control character" \
	"$stages/catalog" --stdio --root clips --list list.csv
# Lines of separators alone, before the header, say nothing.
for list in ',,\npath;set\na/1.mp4;x\n' ';;\npath,set\na/1.mp4,x\n' '\t\npath,set\na/1.mp4,x\n' \
	'""\npath;set\na/1.mp4;x\n'; do
	printf "$list" > list.csv
	"$stages/catalog" --stdio --root clips --list list.csv > c.tape 2> said ||
		fail "separators alone, $list: $(cat said)"
	[ "$(field c.tape path | grep -c 'a/1.mp4')" = 1 ] || fail "separators alone, $list"
done

# pose-reader
mkdir h
printf 'path,yaw_deg,split\na.png,-30.5,test\nb.png,15,test\n' > poses
for way in $ways; do
	vary < poses > h/index.csv
	"$stages/pose-reader" --stdio --root h > h.tape || fail "$way: pose-reader"
	for f in path yaw_true; do field h.tape $f; done > "poses.$way"
	cmp poses.plain "poses.$way" || fail "pose-reader: $way differs"
done
[ "$(wc -l < poses.plain)" -eq 4 ] || fail "poses"
printf 'path;yaw_deg\na.png;-30,5\nb.png;1\n' > h/index.csv
answers 1 "its yaw_deg is no angle (a decimal comma? write 1.5)" \
	"$stages/pose-reader" --stdio --root h

# Tables of numbers for tapes; items as text.
printf 'u,v\n1.5,2\n-3,4e2\n' > numbers
for way in $ways; do
	vary < numbers > n.csv
	"$facet" tape make t=n.csv > n.tape || fail "$way: tape make"
	field n.tape t > "numbers.$way"
	cmp numbers.plain "numbers.$way" || fail "tape make: $way differs"
done
printf 'u;v\n1,5;2\n' > n.csv
answers 3 "'n.csv' line 2 column 1: '1,5' has a decimal comma: write 1.5" \
	"$facet" tape make t=n.csv
"$facet" tape show --full n.tape > plain.txt
{ printf '\357\273\277'; sed 's/$/\r/' plain.txt; } > bom.txt
"$facet" tape make --text bom.txt | "$facet" tape diff --ids - n.tape ||
	fail "text with a byte order mark"
answers 2 "a decimal comma? write 1.5" "$stages/landmarker" --stdio --min-score 0,5
