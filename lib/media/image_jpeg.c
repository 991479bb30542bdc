/* JPEG through libjpeg-turbo; the only module that uses it. */
#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include <jpeglib.h>
#include <jerror.h>

#include "lib/base/mem.h"
#include "lib/media/image_codec.h"

/* A progressive file may ask for any number of passes over the whole picture;
 * encoders make about ten. */
#define MAX_SCANS 100
#define MAX_COMMENT 65533

struct job {
    struct jpeg_error_mgr mgr; /* first: libjpeg hands back its address */
    struct jpeg_progress_mgr progress;
    jmp_buf back;
    struct err *e;
    enum err_code code;
    const struct image_caps *caps;
    const uint8_t *data;
    size_t n;
    struct tensor *out;
    uint8_t *row; /* four inks of one row */
    int orientation;
    bool begun;        /* the header is read, pixels follow */
    bool ended;        /* the data came to an end before the closing marker */
    uint32_t scanned;  /* components of which a scan was read, as bits */
    uint32_t pictures; /* in the file, as it says itself */
    /* encoding */
    struct jpeg_destination_mgr dest;
    struct buf *to;
    uint8_t chunk[16384];
    const struct tensor *img;
    const struct image_text *text;
    struct buf comment;
    int quality;
};

/* Jump out with the code set. */
_Noreturn static void give_up(struct job *j, enum err_code code)
{
    j->code = code;
    longjmp(j->back, 1);
}

static void on_error(j_common_ptr c)
{
    struct job *j = (struct job *)(void *)c->err;
    char text[JMSG_LENGTH_MAX];
    enum err_code code = ERR_DATA;
    j->mgr.format_message(c, text);
    switch (j->mgr.msg_code) {
    case JERR_OUT_OF_MEMORY:
        code = ERR_NOMEM;
        break;
    case JERR_BAD_PRECISION:
    case JERR_SOF_UNSUPPORTED:
    case JERR_CONVERSION_NOTIMPL:
    case JERR_ARITH_NOTIMPL:
        code = ERR_UNSUPPORTED;
        break;
    default:
        break;
    }
    err_set(j->e, code, "JPEG: %s", text);
    give_up(j, code);
}

/* libjpeg fills damaged parts with grey and only warns. A picture with such a
 * part is refused; what leaves the picture whole is let pass. The end of the
 * data alone is no loss (a decoder reads ahead); if pixels are missing a
 * warning follows, or check_whole sees it. Arithmetic coding gives none. */
static void on_message(j_common_ptr c, int level)
{
    struct job *j = (struct job *)(void *)c->err;
    if (level >= 0)
        return;
    switch (c->err->msg_code) {
    case JWRN_JPEG_EOF:
        if (!j->begun || ((j_decompress_ptr)(void *)c)->arith_code)
            on_error(c);
        j->ended = true;
        c->err->num_warnings++;
        break;
    case JWRN_HIT_MARKER:
    case JWRN_HUFF_BAD_CODE:
    case JWRN_ARITH_BAD_CODE:
    case JWRN_MUST_RESYNC:
    case JWRN_BOGUS_PROGRESSION:
    case JWRN_NOT_SEQUENTIAL:
        on_error(c);
        break;
    default:
        c->err->num_warnings++;
    }
}

static void on_output(j_common_ptr c)
{
    (void)c;
}

static void on_progress(j_common_ptr c)
{
    struct job *j = (struct job *)(void *)c->err;
    j_decompress_ptr d = (j_decompress_ptr)(void *)c;
    if (!c->is_decompressor)
        return;
    for (int i = 0; i < d->comps_in_scan; i++)
        j->scanned |= 1u << (d->cur_comp_info[i]->component_index & 31);
    if (d->input_scan_number > MAX_SCANS) {
        err_set(j->e, ERR_UNSUPPORTED, "JPEG: more than %d scans", MAX_SCANS);
        give_up(j, ERR_UNSUPPORTED);
    }
}

static void set_handlers(struct job *j)
{
    jpeg_std_error(&j->mgr);
    j->mgr.error_exit = on_error;
    j->mgr.emit_message = on_message;
    j->mgr.output_message = on_output;
    j->progress.progress_monitor = on_progress;
}

static void find_orientation(struct job *j, struct jpeg_decompress_struct *c)
{
    j->orientation = 1;
    for (jpeg_saved_marker_ptr m = c->marker_list; m; m = m->next)
        if (m->marker == JPEG_APP0 + 1 && m->data_length > 6 &&
            memcmp(m->data, "Exif\0", 6) == 0) {
            j->orientation =
                image_exif_orientation(m->data + 6, m->data_length - 6);
            return;
        }
}

/* How many pictures a multi-picture file holds (CIPA DC-007: tag 0xb001 of the
 * index in APP2); 1 for others. */
static uint32_t count_pictures(const struct jpeg_decompress_struct *c)
{
    for (jpeg_saved_marker_ptr m = c->marker_list; m; m = m->next)
        if (m->marker == JPEG_APP0 + 2 && m->data_length > 4 &&
            memcmp(m->data, "MPF", 4) == 0)
            return image_tiff_value(m->data + 4, m->data_length - 4, 0xb001, 1);
    return 1;
}

/* Is a part of the picture missing where libjpeg has not warned: a scan of a
 * component, a refinement of a progressive file? Asked only of a file that
 * came to an end before its closing marker. */
static bool check_whole(const struct job *j,
                        const struct jpeg_decompress_struct *c)
{
    uint32_t all = (1u << c->num_components) - 1;
    if (!c->progressive_mode)
        return !c->buffered_image &&
               (c->comps_in_scan == c->num_components || j->scanned == all);
    if (!c->coef_bits)
        return false;
    for (int i = 0; i < c->num_components; i++)
        for (int k = 0; k < DCTSIZE2; k++)
            if (c->coef_bits[i][k] != 0)
                return false;
    return true;
}

/* Four inks to RGB, without a colour profile. Adobe writes them inverted. */
static void ink_row(const uint8_t *cmyk, uint8_t *rgb, size_t width,
                    bool inverted)
{
    uint8_t mask = inverted ? 0 : 255;
    for (size_t x = 0; x < width; x++, cmyk += 4, rgb += 3) {
        unsigned k = cmyk[3] ^ mask;
        for (int i = 0; i < 3; i++)
            rgb[i] = (uint8_t)(((unsigned)(cmyk[i] ^ mask) * k + 127) / 255);
    }
}

static void decode_body(struct job *j, struct jpeg_decompress_struct *c)
{
    if (setjmp(j->back))
        return;
    jpeg_create_decompress(c);
    c->progress = &j->progress;
    jpeg_mem_src(c, j->data, (unsigned long)j->n);
    jpeg_save_markers(c, JPEG_APP0 + 1, 0xffff);
    jpeg_save_markers(c, JPEG_APP0 + 2, 0xffff);
    jpeg_read_header(c, TRUE);
    j->code = image_check_size(j->caps, c->image_width, c->image_height, j->e);
    if (j->code)
        return;
    find_orientation(j, c);
    j->pictures = count_pictures(c);
    j->begun = true;
    bool inks = c->num_components == 4;
    c->out_color_space = inks ? JCS_CMYK : JCS_RGB;
    c->dct_method = JDCT_ISLOW;
    jpeg_start_decompress(c);
    j->out = image_new_rgb(c->output_height, c->output_width, j->e);
    if (j->out && inks)
        j->row = mem_array(c->output_width, 4);
    if (!j->out || (inks && !j->row)) {
        err_set(j->e, ERR_NOMEM, "JPEG: no memory for the picture");
        give_up(j, ERR_NOMEM);
    }
    uint8_t *to = tensor_u8(j->out);
    while (c->output_scanline < c->output_height) {
        JSAMPROW row = inks ? j->row : to;
        jpeg_read_scanlines(c, &row, 1);
        if (inks)
            ink_row(j->row, to, c->output_width, c->saw_Adobe_marker);
        to += (size_t)c->output_width * 3;
    }
    if (j->ended && !check_whole(j, c)) {
        err_set(j->e, ERR_DATA, "JPEG: the file ends early");
        give_up(j, ERR_DATA);
    }
    jpeg_finish_decompress(c);
}

enum err_code image_jpeg_decode(const uint8_t *data, size_t n,
                                const struct image_caps *caps,
                                struct tensor **out, char *note, struct err *e)
{
    struct jpeg_decompress_struct c;
    struct job *j = mem_calloc(1, sizeof *j);
    if (!j)
        return err_set(e, ERR_NOMEM, "no memory to decode a picture");
    memset(&c, 0, sizeof c);
    set_handlers(j);
    c.err = &j->mgr;
    j->e = e;
    j->caps = caps;
    j->data = data;
    j->n = n;
    decode_body(j, &c);
    jpeg_destroy_decompress(&c);
    enum err_code rc = j->code;
    if (!rc)
        rc = image_orient(&j->out, j->orientation, e);
    if (rc)
        tensor_free(&j->out);
    if (!rc && j->ended)
        image_note(note, "the file ends early, after its last pixel");
    if (!rc && j->pictures > 1)
        image_note(note, "the first of %u pictures", (unsigned)j->pictures);
    *out = j->out;
    mem_free(j->row);
    mem_free(j);
    return rc;
}

/* ---- encoding ---- */

static struct job *job_of(j_compress_ptr c)
{
    return (struct job *)(void *)c->err;
}

static void dest_start(j_compress_ptr c)
{
    struct job *j = job_of(c);
    j->dest.next_output_byte = j->chunk;
    j->dest.free_in_buffer = sizeof j->chunk;
}

static void dest_put(struct job *j, size_t n)
{
    enum err_code rc = buf_put(j->to, j->chunk, n, j->e);
    if (rc)
        give_up(j, rc);
}

static boolean dest_full(j_compress_ptr c)
{
    dest_put(job_of(c), sizeof job_of(c)->chunk);
    dest_start(c);
    return TRUE;
}

static void dest_end(j_compress_ptr c)
{
    struct job *j = job_of(c);
    dest_put(j, sizeof j->chunk - j->dest.free_in_buffer);
}

static void encode_body(struct job *j, struct jpeg_compress_struct *c,
                        int64_t h, int64_t w, int channels)
{
    if (setjmp(j->back))
        return;
    jpeg_create_compress(c);
    j->dest.init_destination = dest_start;
    j->dest.empty_output_buffer = dest_full;
    j->dest.term_destination = dest_end;
    c->dest = &j->dest;
    c->image_width = (JDIMENSION)w;
    c->image_height = (JDIMENSION)h;
    c->input_components = channels;
    c->in_color_space = channels == 3 ? JCS_RGB : JCS_GRAYSCALE;
    jpeg_set_defaults(c);
    jpeg_set_quality(c, j->quality, TRUE);
    c->dct_method = JDCT_ISLOW;
    if (j->quality >= 90) {
        c->comp_info[0].h_samp_factor = 1;
        c->comp_info[0].v_samp_factor = 1;
    }
    jpeg_start_compress(c, TRUE);
    if (j->comment.len)
        jpeg_write_marker(c, JPEG_COM, j->comment.data,
                          (unsigned)j->comment.len);
    uint8_t *from = tensor_u8(j->img);
    while (c->next_scanline < c->image_height) {
        JSAMPROW row =
            from + (size_t)c->next_scanline * (size_t)w * (size_t)channels;
        jpeg_write_scanlines(c, &row, 1);
    }
    jpeg_finish_compress(c);
}

static enum err_code make_comment(struct job *j)
{
    buf_init(&j->comment, MAX_COMMENT);
    for (const struct image_text *t = j->text; t && t->key; t++) {
        enum err_code rc =
            buf_printf(&j->comment, j->e, "%s: %s\n", t->key, t->value);
        if (rc)
            return err_wrap(j->e, "JPEG comment");
    }
    return OK;
}

enum err_code image_encode_jpeg(const struct tensor *img, int quality,
                                const struct image_text *text, struct buf *b,
                                struct err *e)
{
    int64_t h, w;
    int channels;
    buf_init(b, SIZE_MAX / 4);
    enum err_code rc = image_layout(img, &h, &w, &channels, e);
    if (rc)
        return rc;
    if (quality < 1 || quality > 100)
        return err_set(e, ERR_ARG, "JPEG quality %d is not 1..100", quality);
    if (h > 65500 || w > 65500)
        return err_set(e, ERR_ARG, "%lld x %lld pixels is too large for JPEG",
                       (long long)w, (long long)h);
    struct jpeg_compress_struct c;
    struct job *j = mem_calloc(1, sizeof *j);
    if (!j)
        return err_set(e, ERR_NOMEM, "no memory to encode a picture");
    memset(&c, 0, sizeof c);
    set_handlers(j);
    c.err = &j->mgr;
    j->e = e;
    j->to = b;
    j->img = img;
    j->text = text;
    j->quality = quality;
    rc = make_comment(j);
    if (!rc) {
        encode_body(j, &c, h, w, channels);
        jpeg_destroy_compress(&c);
        rc = j->code;
    }
    if (rc)
        buf_free(b);
    buf_free(&j->comment);
    mem_free(j);
    return rc;
}
