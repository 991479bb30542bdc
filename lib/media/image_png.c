/* PNG through libpng; the only module that uses it. */
#include <setjmp.h>
#include <string.h>

#include <png.h>

#include "lib/base/mem.h"
#include "lib/media/image_codec.h"

#define MAX_CHUNKS 256             /* ancillary chunks kept of one file */
#define MAX_CHUNK_BYTES (8u << 20) /* of one, after decompression */
#define DEFLATE_RATIO 1032u        /* deflate's best; zlib's manual */
#define MAX_TEXTS 64

struct job {
    png_structp png;
    png_infop info;
    struct err *e;
    enum err_code code;
    const struct image_caps *caps;
    const uint8_t *data; /* being read */
    size_t n, pos;
    struct tensor *out;
    uint8_t *rgba; /* whole picture with alpha, where it has one */
    png_bytep *rows;
    int orientation;
    size_t rows_seen; /* whose samples have been unpacked */
    bool whole;       /* so have all: what fails later is no loss of pixels */
    char *note;
    bool damaged_chunk;
    bool no_memory;
    /* encoding */
    struct buf *to;
    const struct tensor *img;
    const struct image_text *text;
    png_text texts[MAX_TEXTS];
    char *latin[MAX_TEXTS];
    int level;
    /* looking up */
    const char *key;
    char *value;
};

static void on_error(png_structp png, png_const_charp text)
{
    struct job *j = png_get_error_ptr(png);
    if (j->whole && !j->no_memory) {
        image_note(j->note,
                   "the file ends early or is damaged after its last "
                   "pixel (PNG: %s)",
                   text);
        png_longjmp(png, 1);
    }
    if (!j->code) {
        j->code = j->no_memory ? ERR_NOMEM : ERR_DATA;
        err_set(j->e, j->code, "PNG: %s", j->no_memory ? "no memory" : text);
    }
    png_longjmp(png, 1);
}

/* A damaged chunk beside the pixels is left out, with what it told. */
static void on_warning(png_structp png, png_const_charp text)
{
    struct job *j = png_get_error_ptr(png);
    if (strstr(text, "CRC") && !j->damaged_chunk) {
        j->damaged_chunk = true;
        image_note(j->note, "a damaged chunk is left out (PNG: %s)", text);
    }
}

static png_voidp take(png_structp png, png_alloc_size_t n)
{
    struct job *j = png_get_mem_ptr(png);
    /* libpng believes the length that a chunk announces. */
    if (j->data && n > j->n + 2 * (size_t)MAX_CHUNK_BYTES)
        return NULL;
    void *p = mem_alloc(n);
    if (!p)
        j->no_memory = true;
    return p;
}

static void give(png_structp png, png_voidp p)
{
    (void)png;
    mem_free(p);
}

/* Leave with an error of our own (already in j->e). */
_Noreturn static void give_up(struct job *j, enum err_code code)
{
    j->code = code;
    png_longjmp(j->png, 1);
}

static void read_bytes(png_structp png, png_bytep to, size_t n)
{
    struct job *j = png_get_io_ptr(png);
    if (n > j->n - j->pos)
        png_error(png, "the file ends early");
    memcpy(to, j->data + j->pos, n);
    j->pos += n;
}

static bool open_reader(struct job *j)
{
    j->png = png_create_read_struct_2(PNG_LIBPNG_VER_STRING, j, on_error,
                                      on_warning, j, take, give);
    if (j->png)
        j->info = png_create_info_struct(j->png);
    return j->info != NULL;
}

/* libpng goes on without a text or EXIF block that it had no memory for. */
static enum err_code end_reader(struct job *j)
{
    png_destroy_read_struct(&j->png, &j->info, NULL);
    if (!j->code && j->no_memory)
        j->code = err_set(j->e, ERR_NOMEM, "PNG: no memory");
    return j->code;
}

static uint32_t big_endian(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 |
           p[3];
}

/* The size stands at a fixed place: look before libpng does anything. */
static enum err_code check_header(const struct job *j)
{
    if (j->n < 24 || memcmp(j->data + 12, "IHDR", 4) != 0)
        return err_set(j->e, ERR_DATA, "PNG: the file has no header");
    return image_check_size(j->caps, big_endian(j->data + 16),
                            big_endian(j->data + 20), j->e);
}

/* Header read (its size is checked); pixels will come as 8-bit RGB or RGBA. */
static void read_header(struct job *j)
{
    png_structp png = j->png;
    png_infop info = j->info;
    png_set_read_fn(png, j, read_bytes);
    png_set_user_limits(png, 0x7fffffff, 0x7fffffff); /* ours come below */
    png_set_chunk_cache_max(png, MAX_CHUNKS);
    png_set_chunk_malloc_max(png, MAX_CHUNK_BYTES);
    png_read_info(png, info);
    png_uint_32 h = png_get_image_height(png, info);
    size_t raw = png_get_rowbytes(png, info);
    if (raw / DEFLATE_RATIO * h > j->n)
        png_error(png, "the file is too short for its picture");
    int type = png_get_color_type(png, info);
    if (type == PNG_COLOR_TYPE_PALETTE)
        png_set_palette_to_rgb(png);
    if (!(type & PNG_COLOR_MASK_COLOR) && png_get_bit_depth(png, info) < 8)
        png_set_expand_gray_1_2_4_to_8(png);
    if (png_get_valid(png, info, PNG_INFO_tRNS))
        png_set_tRNS_to_alpha(png);
    png_set_scale_16(png);
    if (!(type & PNG_COLOR_MASK_COLOR))
        png_set_gray_to_rgb(png);
    png_set_interlace_handling(png);
    png_read_update_info(png, info);
}

/* Called for each row when its samples are unpacked, before checksums that
 * follow the last one are read. Changes nothing. */
static void count_row(png_structp png, png_row_infop row, png_bytep data)
{
    struct job *j = png_get_user_transform_ptr(png);
    (void)row;
    (void)data;
    j->whole = ++j->rows_seen == png_get_image_height(png, j->info) &&
               png_get_interlace_type(png, j->info) == PNG_INTERLACE_NONE;
}

static void read_rows(struct job *j)
{
    if (setjmp(png_jmpbuf(j->png)))
        return;
    read_header(j);
    size_t w = png_get_image_width(j->png, j->info);
    size_t h = png_get_image_height(j->png, j->info);
    size_t channels = png_get_channels(j->png, j->info);
    if (channels != 3 && channels != 4)
        png_error(j->png, "unexpected channels");
    j->out = image_new_rgb((int64_t)h, (int64_t)w, j->e);
    j->rows = mem_array(h, sizeof *j->rows);
    if (channels == 4)
        j->rgba = mem_array(h, w * 4);
    if (!j->out || !j->rows || (channels == 4 && !j->rgba)) {
        err_set(j->e, ERR_NOMEM, "PNG: no memory for the picture");
        give_up(j, ERR_NOMEM);
    }
    uint8_t *to = channels == 4 ? j->rgba : tensor_u8(j->out);
    for (size_t y = 0; y < h; y++)
        j->rows[y] = to + y * w * channels;
    png_read_image(j->png, j->rows);
    j->whole = true;
}

static void read_tail(struct job *j)
{
    if (setjmp(png_jmpbuf(j->png)))
        return;
    png_read_end(j->png, j->info);
}

/* How many pictures an animated PNG holds; 1 where it does not move. */
static uint32_t count_pictures(const struct job *j)
{
    size_t at = 8;
    while (j->n >= 20 && at <= j->n - 20) {
        size_t length = big_endian(j->data + at);
        if (memcmp(j->data + at + 4, "IDAT", 4) == 0)
            return 1;
        if (memcmp(j->data + at + 4, "acTL", 4) == 0)
            return big_endian(j->data + at + 8);
        if (length > j->n - 12 - at)
            return 1;
        at += length + 12;
    }
    return 1;
}

static void decode_body(struct job *j)
{
    read_rows(j);
    if (j->code || !j->whole)
        return;
    if (!*j->note || !strstr(j->note, "last pixel"))
        read_tail(j);
    if (j->rgba)
        image_over_black(j->rgba, tensor_u8(j->out), j->out->count / 3);
    png_uint_32 exif_n = 0;
    png_bytep exif = NULL;
    if (png_get_eXIf_1(j->png, j->info, &exif_n, &exif) == PNG_INFO_eXIf)
        j->orientation = image_exif_orientation(exif, exif_n);
    if (count_pictures(j) > 1)
        image_note(j->note, "the first of %u pictures of an animated PNG",
                   (unsigned)count_pictures(j));
}

enum err_code image_png_decode(const uint8_t *data, size_t n,
                               const struct image_caps *caps,
                               struct tensor **out, char *note, struct err *e)
{
    char unused[IMAGE_NOTE] = "";
    struct job *j = mem_calloc(1, sizeof *j);
    if (!j)
        return err_set(e, ERR_NOMEM, "no memory to decode a picture");
    j->e = e;
    j->caps = caps;
    j->data = data;
    j->n = n;
    j->note = note ? note : unused;
    j->code = check_header(j);
    if (!j->code && open_reader(j)) {
        png_set_read_user_transform_fn(j->png, count_row);
        png_set_user_transform_info(j->png, j, 0, 0);
        decode_body(j);
    } else if (!j->code) {
        j->code = err_set(e, ERR_NOMEM, "PNG: no memory");
    }
    enum err_code rc = end_reader(j);
    if (!rc)
        rc = image_orient(&j->out, j->orientation, e);
    if (rc)
        tensor_free(&j->out);
    *out = j->out;
    mem_free(j->rgba);
    mem_free(j->rows);
    mem_free(j);
    return rc;
}

/* ---- text ---- */

/* UTF-8 to Latin-1 in new memory; NULL with *fits false if it does not fit. */
static char *to_latin1(const char *s, bool *fits)
{
    size_t n = strlen(s), k = 0;
    char *out = mem_alloc(n + 1);
    *fits = true;
    for (size_t i = 0; out && i < n; i++) {
        uint8_t c = (uint8_t)s[i];
        if (c >= 0x80) {
            uint8_t d = (uint8_t)s[i + 1];
            if ((c != 0xc2 && c != 0xc3) || (d & 0xc0) != 0x80) {
                mem_free(out);
                *fits = false;
                return NULL;
            }
            c = (uint8_t)((c & 3) << 6 | (d & 0x3f));
            i++;
        }
        out[k++] = (char)c;
    }
    if (out)
        out[k] = 0;
    return out;
}

static char *from_latin1(const char *s)
{
    size_t n = strlen(s), k = 0;
    char *out = mem_array(n + 1, 2);
    for (size_t i = 0; out && i < n; i++) {
        uint8_t c = (uint8_t)s[i];
        if (c >= 0x80)
            out[k++] = (char)(0xc0 | c >> 6);
        out[k++] = (char)(c >= 0x80 ? (0x80 | (c & 0x3f)) : c);
    }
    if (out)
        out[k] = 0;
    return out;
}

/* The value of j->key among the texts read so far, into j->value. */
static void pick_text(struct job *j)
{
    png_textp t = NULL;
    int n = png_get_text(j->png, j->info, &t, NULL);
    for (int i = 0; i < n && !j->value; i++) {
        if (strcmp(t[i].key, j->key) != 0)
            continue;
        bool utf8 = t[i].compression >= PNG_ITXT_COMPRESSION_NONE;
        j->value = utf8 ? mem_strdup(t[i].text) : from_latin1(t[i].text);
        if (!j->value) {
            err_set(j->e, ERR_NOMEM, "PNG: no memory for a text");
            give_up(j, ERR_NOMEM);
        }
    }
}

static void text_body(struct job *j)
{
    if (setjmp(png_jmpbuf(j->png)))
        return;
    read_header(j);
    pick_text(j);
    if (j->value)
        return;
    /* Text may also come after the pixels: read over them. */
    size_t h = png_get_image_height(j->png, j->info);
    j->rgba = mem_alloc(png_get_rowbytes(j->png, j->info));
    if (!j->rgba) {
        err_set(j->e, ERR_NOMEM, "PNG: no memory for a row");
        give_up(j, ERR_NOMEM);
    }
    bool interlaced =
        png_get_interlace_type(j->png, j->info) != PNG_INTERLACE_NONE;
    for (int pass = 0; pass < (interlaced ? 7 : 1); pass++)
        for (size_t y = 0; y < h; y++)
            png_read_row(j->png, j->rgba, NULL);
    png_read_end(j->png, j->info);
    pick_text(j);
}

enum err_code image_png_text(const void *data, size_t n, const char *key,
                             char **out, struct err *e)
{
    *out = NULL;
    struct job *j = mem_calloc(1, sizeof *j);
    if (!j)
        return err_set(e, ERR_NOMEM, "no memory to read a picture's text");
    j->e = e;
    j->caps = &image_caps_default;
    j->data = data;
    j->n = n;
    j->key = key;
    j->code = check_header(j);
    if (!j->code && open_reader(j))
        text_body(j);
    else if (!j->code)
        j->code = err_set(e, ERR_NOMEM, "PNG: no memory");
    enum err_code rc = end_reader(j);
    if (!rc && !j->value)
        rc = err_set(e, ERR_NOTFOUND, "the picture has no text '%s'", key);
    if (rc)
        mem_free(j->value);
    else
        *out = j->value;
    mem_free(j->rgba);
    mem_free(j);
    return rc;
}

/* ---- encoding ---- */

static void write_bytes(png_structp png, png_bytep from, size_t n)
{
    struct job *j = png_get_io_ptr(png);
    enum err_code rc = buf_put(j->to, from, n, j->e);
    if (rc)
        give_up(j, rc);
}

static void flush_bytes(png_structp png)
{
    (void)png;
}

/* Fill j->texts from j->text. */
static enum err_code prepare_texts(struct job *j, int *count)
{
    int n = 0;
    for (const struct image_text *t = j->text; t && t->key; t++, n++) {
        size_t len = strlen(t->key);
        if (n == MAX_TEXTS)
            return err_set(j->e, ERR_ARG, "more than %d picture texts",
                           MAX_TEXTS);
        if (len < 1 || len > 79)
            return err_set(j->e, ERR_ARG,
                           "picture text keyword '%s' is not 1..79 bytes",
                           t->key);
        bool fits;
        union {
            const char *in;
            char *out;
        } key = {t->key}, value = {t->value}; /* libpng's struct has no const */
        j->latin[n] = to_latin1(t->value, &fits);
        if (fits && !j->latin[n])
            return err_set(j->e, ERR_NOMEM, "no memory for a picture text");
        png_text *p = &j->texts[n];
        p->key = key.out;
        p->text = fits ? j->latin[n] : value.out;
        p->compression =
            fits ? PNG_TEXT_COMPRESSION_NONE : PNG_ITXT_COMPRESSION_NONE;
        if (!fits)
            p->itxt_length = strlen(t->value);
    }
    *count = n;
    return OK;
}

static void encode_body(struct job *j, int64_t h, int64_t w, int channels,
                        int texts)
{
    if (setjmp(png_jmpbuf(j->png)))
        return;
    png_structp png = j->png;
    png_set_write_fn(png, j, write_bytes, flush_bytes);
    png_set_user_limits(png, 0x7fffffff, 0x7fffffff);
    png_set_compression_level(png, j->level);
    if (j->level <= 2) /* one cheap filter: a third of the time */
        png_set_filter(png, 0, PNG_FILTER_SUB);
    png_set_IHDR(png, j->info, (png_uint_32)w, (png_uint_32)h, 8,
                 channels == 3 ? PNG_COLOR_TYPE_RGB : PNG_COLOR_TYPE_GRAY,
                 PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
                 PNG_FILTER_TYPE_DEFAULT);
    if (texts)
        png_set_text(png, j->info, j->texts, texts);
    png_write_info(png, j->info);
    uint8_t *row = tensor_u8(j->img);
    for (int64_t y = 0; y < h; y++, row += (size_t)w * (size_t)channels)
        png_write_row(png, row);
    png_write_end(png, NULL);
}

enum err_code image_encode_png(const struct tensor *img, int level,
                               const struct image_text *text, struct buf *b,
                               struct err *e)
{
    int64_t h, w;
    int channels, texts = 0;
    buf_init(b, SIZE_MAX / 4);
    enum err_code rc = image_layout(img, &h, &w, &channels, e);
    if (rc)
        return rc;
    if (level < 0 || level > 9)
        return err_set(e, ERR_ARG, "PNG level %d is not 0..9", level);
    if (h > 0x7fffffff || w > 0x7fffffff / 8)
        return err_set(e, ERR_ARG, "%lld x %lld pixels is too large for PNG",
                       (long long)w, (long long)h);
    struct job *j = mem_calloc(1, sizeof *j);
    if (!j)
        return err_set(e, ERR_NOMEM, "no memory to encode a picture");
    j->e = e;
    j->to = b;
    j->img = img;
    j->text = text;
    j->level = level;
    rc = prepare_texts(j, &texts);
    if (!rc) {
        j->png = png_create_write_struct_2(PNG_LIBPNG_VER_STRING, j, on_error,
                                           on_warning, j, take, give);
        if (j->png)
            j->info = png_create_info_struct(j->png);
        if (j->info)
            encode_body(j, h, w, channels, texts);
        else
            j->code = err_set(e, ERR_NOMEM, "PNG: no memory");
        png_destroy_write_struct(&j->png, &j->info);
        rc = j->code;
    }
    if (rc)
        buf_free(b);
    for (int i = 0; i < MAX_TEXTS; i++)
        mem_free(j->latin[i]);
    mem_free(j);
    return rc;
}
