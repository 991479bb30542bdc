/* WebP through libwebp; the only module that uses it. */
#include <string.h>

#include <webp/decode.h>
#include <webp/demux.h>

#include "lib/base/mem.h"
#include "lib/media/image_codec.h"

bool image_webp_sniff(const uint8_t *p, size_t n)
{
    return n >= 12 && memcmp(p, "RIFF", 4) == 0 &&
           memcmp(p + 8, "WEBP", 4) == 0;
}

static enum err_code webp_error(VP8StatusCode s, struct err *e)
{
    switch (s) {
    case VP8_STATUS_OUT_OF_MEMORY:
        return err_set(e, ERR_NOMEM, "WebP: no memory");
    case VP8_STATUS_UNSUPPORTED_FEATURE:
        return err_set(e, ERR_UNSUPPORTED, "WebP: a feature that is not known");
    case VP8_STATUS_NOT_ENOUGH_DATA:
        return err_set(e, ERR_DATA, "WebP: the file ends early");
    default:
        return err_set(e, ERR_DATA, "WebP: malformed");
    }
}

/* The first picture of an animation, on its whole canvas. */
static enum err_code first_of_many(const WebPData *data, struct tensor *t,
                                   struct err *e)
{
    uint8_t *rgba = NULL; /* the decoder's */
    int at = 0;
    WebPAnimDecoderOptions o;
    if (!WebPAnimDecoderOptionsInit(&o))
        return err_set(e, ERR_UNSUPPORTED, "another libwebp than built with");
    o.color_mode = MODE_RGBA;
    WebPAnimDecoder *d = WebPAnimDecoderNew(data, &o);
    if (!d)
        return err_set(e, ERR_DATA, "WebP: malformed, or no memory");
    bool good = WebPAnimDecoderGetNext(d, &rgba, &at);
    if (good)
        image_over_black(rgba, tensor_u8(t), t->count / 3);
    WebPAnimDecoderDelete(d);
    return good ? OK : err_set(e, ERR_DATA, "WebP: its first picture is bad");
}

static enum err_code still(const uint8_t *data, size_t n, bool alpha,
                           struct tensor *t, struct err *e)
{
    WebPDecoderConfig c;
    if (!WebPInitDecoderConfig(&c))
        return err_set(e, ERR_UNSUPPORTED, "another libwebp than built with");
    size_t pixels = t->count / 3, row = (size_t)t->shape[1] * (alpha ? 4 : 3);
    uint8_t *rgba = alpha ? mem_array(pixels, 4) : NULL;
    if (alpha && !rgba)
        return err_set(e, ERR_NOMEM, "no memory to decode a picture");
    c.output.colorspace = alpha ? MODE_RGBA : MODE_RGB;
    c.output.is_external_memory = 1;
    c.output.u.RGBA.rgba = alpha ? rgba : tensor_u8(t);
    c.output.u.RGBA.stride = (int)row;
    c.output.u.RGBA.size = pixels * (alpha ? 4 : 3);
    VP8StatusCode s = WebPDecode(data, n, &c);
    WebPFreeDecBuffer(&c.output);
    if (s == VP8_STATUS_OK && alpha)
        image_over_black(rgba, tensor_u8(t), pixels);
    mem_free(rgba);
    return s == VP8_STATUS_OK ? OK : webp_error(s, e);
}

/* What stands around the pixels: orientation, how many pictures. */
static void look_around(const WebPData *data, int *orientation,
                        uint32_t *frames)
{
    WebPDemuxState state;
    WebPChunkIterator it;
    *orientation = 1;
    *frames = 1;
    WebPDemuxer *d = WebPDemuxPartial(data, &state);
    if (!d)
        return;
    *frames = WebPDemuxGetI(d, WEBP_FF_FRAME_COUNT);
    if (WebPDemuxGetChunk(d, "EXIF", 1, &it)) {
        const uint8_t *p = it.chunk.bytes;
        size_t n = it.chunk.size;
        bool prefix = n > 6 && memcmp(p, "Exif\0", 6) == 0;
        *orientation =
            image_exif_orientation(p + (prefix ? 6 : 0), n - (prefix ? 6 : 0));
        WebPDemuxReleaseChunkIterator(&it);
    }
    WebPDemuxDelete(d);
}

enum err_code image_webp_decode(const uint8_t *data, size_t n,
                                const struct image_caps *caps,
                                struct tensor **out, char *note, struct err *e)
{
    WebPBitstreamFeatures f;
    const WebPData all = {data, n};
    int orientation;
    uint32_t frames;
    *out = NULL;
    VP8StatusCode s = WebPGetFeatures(data, n, &f);
    if (s != VP8_STATUS_OK)
        return webp_error(s, e);
    enum err_code rc = image_check_size(caps, f.width, f.height, e);
    if (rc)
        return rc;
    look_around(&all, &orientation, &frames);
    struct tensor *t = image_new_rgb(f.height, f.width, e);
    if (!t)
        return ERR_NOMEM;
    rc = f.has_animation ? first_of_many(&all, t, e)
                         : still(data, n, f.has_alpha, t, e);
    if (!rc)
        rc = image_orient(&t, orientation, e);
    if (rc) {
        tensor_free(&t);
        return rc;
    }
    size_t stated = (size_t)data[4] | (size_t)data[5] << 8 |
                    (size_t)data[6] << 16 | (size_t)data[7] << 24;
    if (f.has_animation && frames != 1)
        image_note(note, "the first of %u pictures of an animated WebP",
                   (unsigned)frames);
    if (stated > n - 8)
        image_note(note, "the file ends early, after its pixels");
    *out = t;
    return OK;
}
