#!/bin/sh
# Frames of lib/media/video against the ffmpeg tool's, over files made here
# with one awkward property each, and a few of ../shared where it is there.
# Tolerance: none, every byte is compared. Then: deinterlacing brings interlaced
# motion nearer to the truth.
# needs: c:ffmpeg c:python3 py:numpy tests/stages
set -eu
tool=$BUILD/tests/stages/video-frames
command -v ffmpeg >/dev/null || { echo "no ffmpeg tool"; exit 77; }
"$PYTHON" -c 'import numpy' 2>/dev/null || { echo "no numpy"; exit 77; }
t=$(mktemp -d)
trap 'rm -rf "$t"' EXIT INT TERM
ff() { ffmpeg -nostdin -v error -y "$@" || { echo "ffmpeg $*" >&2; exit 1; }; }
src="testsrc2=size=96x64:rate=25:duration=2.4"
x="-c:v libx264 -preset fast -threads 1"

ff -f lavfi -i "$src" $x -bf 3 -g 20 -sc_threshold 0 "$t/gops.mp4"
ff -f lavfi -i "$src" $x -x264-params open-gop=1:keyint=20:bframes=3 "$t/open-gop.mp4"
ff -f lavfi -i "$src" $x -x264-params intra-refresh=1:keyint=20 "$t/intra-refresh.mkv"
ff -i "$t/gops.mp4" -c copy -metadata:s:v:0 rotate=90 "$t/turned.mp4"
ff -i "$t/gops.mp4" -c copy -metadata:s:v:0 rotate=180 "$t/upside-down.mp4"
ff -f lavfi -i "$src,setsar=4/3" $x "$t/sar.mkv"
ff -i "$t/sar.mkv" -c copy -metadata:s:v:0 rotate=270 "$t/sar-turned.mp4"
ff -f lavfi -i "$src,select='not(eq(mod(n,5),2))'" -vsync vfr $x "$t/vfr.mp4"
ff -ss 0.9 -i "$t/gops.mp4" -c copy "$t/edit-list.mp4"
ff -f lavfi -i "$src" $x -pix_fmt yuv422p10le -colorspace bt709 -color_range tv "$t/422-10bit-709.mp4"
ff -f lavfi -i "$src,scale=out_range=pc,scale=95:63" $x -pix_fmt yuvj444p -color_range pc "$t/odd-444-full.mp4"
ff -f lavfi -i "$src" -c:v mpeg2video -bf 2 -flags +ilme+ildct -top 1 "$t/interlaced.mpg"
ff -f lavfi -i "$src" -r 10 "$t/a.gif"
ff -f lavfi -i "$src" -c:v mpeg4 -bf 2 "$t/mpeg4-b.avi"
ff -f lavfi -i "$src" -c:v libvpx -g 20 -deadline realtime "$t/vp8.webm"
ff -f lavfi -i "$src" $x -f mpegts "$t/stream.ts"
ff -f lavfi -i "$src" $x -movflags +faststart -g 250 "$t/whole.mp4"
head -c $(($(wc -c < "$t/whole.mp4") * 6 / 10)) "$t/whole.mp4" > "$t/cut-short.mp4"
rm "$t/whole.mp4"
ff -f lavfi -i "$src" -f lavfi -i "color=red:size=128x96:rate=25:duration=2" -map 0 -map 1 $x -disposition:v:0 0 -disposition:v:1 0 "$t/two-streams.mkv"
ff -f lavfi -i "color=green:size=256x256:duration=1" -frames:v 1 "$t/cover.png"
ff -i "$t/gops.mp4" -i "$t/cover.png" -map 0 -map 1 -c copy -disposition:v:1 attached_pic "$t/with-cover.mp4"
rm "$t/cover.png"

set -- "$t"/*
shared=../shared/data/clips-odd
for f in made-bitflips.mp4 made-size-changes-midway.ts real-three-people.gif; do
	[ -f "$shared/$f" ] && set -- "$@" "$shared/$f"
done
log=$("$PYTHON" tests/long/frames_vs_ffmpeg.py --tol 0 --all --tool "$tool" "$@" |
	sed "s,$t/,,")
echo "$log"
case $log in *" 0 wrong"*) ;; *) exit 1 ;; esac
n=$(echo "$log" | grep -c '^ok')
[ "$n" -ge 19 ] || { echo "only $n files were compared"; exit 1; }
echo "$log" | grep -q 'cut-short.*note: .* of 60 frames decoded' || {
	echo "no note on the file cut short"; exit 1; }

# 50 moving pictures a second, two of them woven into each of 25 interlaced
# frames. The truth for frame k is picture 2k.
mkdir "$t/woven"
# smooth, so that what differs is motion and not the detail of a single line
move="testsrc2=size=128x96:rate=50:duration=0.4,boxblur=2"
ff -f lavfi -i "$move" -pix_fmt yuv420p -c:v libx264 -crf 1 "$t/woven/truth.mp4"
ff -f lavfi -i "$move" -vf tinterlace=interleave_top,setfield=tff -pix_fmt yuv420p \
	-c:v libx264 -crf 1 -flags +ilme+ildct -x264-params tff=1 "$t/woven/woven.mp4"
"$tool" --raw -n 0 "$t/woven/truth.mp4" > "$t/woven/truth" 2>/dev/null
"$tool" --raw -n 0 "$t/woven/woven.mp4" > "$t/woven/off" 2>/dev/null
"$tool" --raw -n 0 -d "$t/woven/woven.mp4" > "$t/woven/auto" 2>/dev/null
"$tool" --raw -n 0 -d "$t/woven/truth.mp4" > "$t/woven/same" 2>/dev/null
cmp "$t/woven/truth" "$t/woven/same" || { echo "progressive frames changed"; exit 1; }
"$PYTHON" - "$t/woven" <<'P'
import sys
import numpy as np
d = sys.argv[1]
f = {n: np.fromfile(f"{d}/{n}", np.uint8).reshape(-1, 96, 128, 3).astype(float)
     for n in ("truth", "off", "auto")}
truth = f["truth"][::2][:len(f["off"])]
off, auto = (((f[n] - truth) ** 2).mean() for n in ("off", "auto"))
print(f"interlaced: mean squared error {off:.1f} as it is, {auto:.1f} mended")
sys.exit(not (len(truth) == 10 and auto < 0.8 * off))
P
