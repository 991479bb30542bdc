/* Fingerprints of files. */
#define XXH_STATIC_LINKING_ONLY
#include "lib/data/hash.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>
#include <xxhash.h>

#include "lib/base/mem.h"

#define PIECE ((size_t)1 << 20)

void hash_bytes(const void *data, size_t n, char hex[33])
{
    XXH128_hash_t h = XXH3_128bits(data, n);
    (void)snprintf(hex, 33, "%016llx%016llx", (unsigned long long)h.high64,
                   (unsigned long long)h.low64);
}

enum err_code hash_file(const char *path, char hex[33], struct err *e)
{
    XXH3_state_t state;
    XXH3_128bits_reset(&state);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_errno(e, errno == ENOENT ? ERR_NOTFOUND : ERR_IO, errno,
                         "cannot open '%s'", path);
    enum err_code r = OK;
    uint8_t *piece = mem_alloc(PIECE);
    if (!piece)
        r = err_set(e, ERR_NOMEM, "no memory to read '%s'", path);
    for (ssize_t got = 1; !r && got != 0;) {
        got = read(fd, piece, PIECE);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            r = err_errno(e, ERR_IO, errno, "cannot read '%s'", path);
        else if (got > 0)
            XXH3_128bits_update(&state, piece, (size_t)got);
    }
    XXH128_hash_t h = XXH3_128bits_digest(&state);
    (void)snprintf(hex, 33, "%016llx%016llx", (unsigned long long)h.high64,
                   (unsigned long long)h.low64);
    mem_free(piece);
    close(fd);
    return r;
}
