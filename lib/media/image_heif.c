/* HEIC and AVIF through libheif; the only module that uses it. */
#include <string.h>

#include <libheif/heif.h>

#include "lib/base/mem.h"
#include "lib/media/image_codec.h"

/* By the major brand. Sequences (msf1, hevc, avis) are videos. */
bool image_heif_sniff(const uint8_t *p, size_t n)
{
    static const char brands[][5] = {"heic", "heix", "heim", "heis",
                                     "mif1", "mif2", "avif"};
    if (n < 12 || memcmp(p + 4, "ftyp", 4) != 0)
        return false;
    for (size_t i = 0; i < sizeof brands / sizeof *brands; i++)
        if (memcmp(p + 8, brands[i], 4) == 0)
            return true;
    return false;
}

static enum err_code heif_failed(struct heif_error he, struct err *e)
{
    enum err_code code = ERR_DATA;
    if (he.code == heif_error_Memory_allocation_error)
        code = ERR_NOMEM;
    if (he.code == heif_error_Unsupported_feature ||
        he.code == heif_error_Unsupported_filetype)
        code = ERR_UNSUPPORTED;
    const char *text = he.message ? he.message : "malformed";
    return err_set(e, code, "HEIF: %.*s", (int)strcspn(text, "\r\n"), text);
}

static enum err_code copy_pixels(const struct heif_image *img, bool alpha,
                                 const struct image_caps *caps,
                                 struct tensor **out, struct err *e)
{
    int stride = 0;
    int w = heif_image_get_width(img, heif_channel_interleaved);
    int h = heif_image_get_height(img, heif_channel_interleaved);
    const uint8_t *p =
        heif_image_get_plane_readonly(img, heif_channel_interleaved, &stride);
    enum err_code rc = image_check_size(caps, w, h, e);
    if (rc)
        return rc;
    if (!p || stride < w * (alpha ? 4 : 3))
        return err_set(e, ERR_DATA, "HEIF: no pixels");
    struct tensor *t = image_new_rgb(h, w, e);
    if (!t)
        return ERR_NOMEM;
    uint8_t *to = tensor_u8(t);
    for (int y = 0; y < h; y++, p += stride, to += (size_t)w * 3) {
        if (alpha)
            image_over_black(p, to, (size_t)w);
        else
            memcpy(to, p, (size_t)w * 3);
    }
    *out = t;
    return OK;
}

/* libheif applies the file's own turns and mirrors (irot, imir); EXIF, which
 * repeats them, is not looked at. */
static enum err_code decode_primary(struct heif_image_handle *handle,
                                    const struct image_caps *caps,
                                    struct tensor **out, struct err *e)
{
    enum err_code rc =
        image_check_size(caps, heif_image_handle_get_width(handle),
                         heif_image_handle_get_height(handle), e);
    if (rc)
        return rc;
    bool alpha = heif_image_handle_has_alpha_channel(handle);
    struct heif_image *img = NULL;
    struct heif_decoding_options *o = heif_decoding_options_alloc();
    if (!o)
        return err_set(e, ERR_NOMEM, "HEIF: no memory");
    o->convert_hdr_to_8bit = 1;
    struct heif_error he = heif_decode_image(
        handle, &img, heif_colorspace_RGB,
        alpha ? heif_chroma_interleaved_RGBA : heif_chroma_interleaved_RGB, o);
    heif_decoding_options_free(o);
    if (he.code != heif_error_Ok)
        return heif_failed(he, e);
    rc = copy_pixels(img, alpha, caps, out, e);
    heif_image_release(img);
    return rc;
}

enum err_code image_heif_decode(const uint8_t *data, size_t n,
                                const struct image_caps *caps,
                                struct tensor **out, char *note, struct err *e)
{
    struct heif_image_handle *handle = NULL;
    *out = NULL;
    struct heif_context *ctx = heif_context_alloc();
    if (!ctx)
        return err_set(e, ERR_NOMEM, "HEIF: no memory");
    heif_context_set_max_decoding_threads(ctx, 1);
    struct heif_error he =
        heif_context_read_from_memory_without_copy(ctx, data, n, NULL);
    if (he.code == heif_error_Ok)
        he = heif_context_get_primary_image_handle(ctx, &handle);
    enum err_code rc = he.code == heif_error_Ok
                           ? decode_primary(handle, caps, out, e)
                           : heif_failed(he, e);
    int pictures = heif_context_get_number_of_top_level_images(ctx);
    if (!rc && pictures > 1)
        image_note(note, "the primary one of %d pictures", pictures);
    if (handle)
        heif_image_handle_release(handle);
    heif_context_free(ctx);
    return rc;
}
