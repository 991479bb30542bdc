/* Which files are clips and pictures: the table of endings. */
#include "lib/store/catalogue.h"

#include <string.h>

#include "lib/base/file.h"

/* What lib/media reads. An ending that is not here is counted as left out. */
static const struct {
    const char *kind, *exts; /* lower case, one blank between */
} kinds[] = {
    {"clip",
     "mp4 m4v mov qt avi mkv webm mpg mpeg m2v mpv ts m2ts mts flv f4v "
     "wmv asf 3gp 3g2 ogv ogg vob mxf y4m gif mjpeg mjpg dv apng nut wtv "
     "ivf obu h264 264 hevc 265 h265 m1v mpe"},
    /* mpo: several JPEGs in one file, of which the first is the picture */
    {"picture", "jpg jpeg jpe jfif mpo png pgm ppm pnm pbm bmp webp tif tiff "
                "jp2 j2k jxl tga avif heic heif hif dib qoi"},
};

static bool in_list(const char *ext, const char *list)
{
    size_t n = strlen(ext);
    for (const char *p = list; n && *p; p += strcspn(p, " "), p += *p == ' ')
        if (strcspn(p, " ") == n && memcmp(p, ext, n) == 0)
            return true;
    return false;
}

const char *catalogue_kind(const char *path)
{
    char ext[16];
    path_ext(path, ext);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (in_list(ext, kinds[i].exts))
            return kinds[i].kind;
    return NULL;
}
