/* Checkpoints: a checksum of all that is in the file, and numbers that are
 * none. */
#include "lib/base/clones.h"

#include <stdio.h>
#include <string.h>

#include "lib/nn/checkpoint_impl.h"

#define PRIME 0x9e3779b185ebca87u
#define LANES 8
#define BLOCK (8 * LANES)

static inline uint64_t stir(uint64_t h, uint64_t w)
{
    h = (h ^ w) * PRIME;
    return h << 29 | h >> 35;
}

/* Whole blocks of data into eight sums side by side. Each step is one to one
 * in what it takes in, so that no change of a single word is lost. */
CLONES static void blocks(uint64_t *restrict lane, const unsigned char *p,
                          size_t n)
{
    uint64_t a[LANES];
    memcpy(a, lane, sizeof a);
    for (size_t i = 0; i < n; i++, p += BLOCK) {
        uint64_t w[LANES];
        memcpy(w, p, sizeof w);
        for (int k = 0; k < LANES; k++)
            a[k] = stir(a[k], w[k]);
    }
    memcpy(lane, a, sizeof a);
}

static uint64_t hash(uint64_t seed, const void *data, size_t n)
{
    uint64_t lane[LANES];
    const unsigned char *p = data;
    unsigned char rest[BLOCK] = {0};
    for (uint64_t k = 0; k < LANES; k++)
        lane[k] = seed + k;
    if (n >= BLOCK)
        blocks(lane, p, n / BLOCK);
    if (n % BLOCK)
        memcpy(rest, p + n / BLOCK * BLOCK, n % BLOCK);
    blocks(lane, rest, 1);
    uint64_t h = stir(seed, n);
    for (int k = 0; k < LANES; k++)
        h = stir(h, lane[k]);
    return stir(h, h >> 32);
}

uint64_t nn_checksum_text(const char *key, const char *value)
{
    if (strcmp(key, "facet.checksum") == 0)
        return 0;
    return hash(hash(1, key, strlen(key)), value, strlen(value));
}

uint64_t nn_checksum_tensor(const char *name, enum dtype dtype, int ndim,
                            const int64_t *shape, const void *data,
                            size_t bytes)
{
    uint64_t h = hash(2, name, strlen(name));
    h = stir(h, (uint64_t)dtype);
    for (int i = 0; i < ndim; i++)
        h = stir(h, (uint64_t)shape[i]);
    return hash(stir(h, (uint64_t)ndim), data, bytes);
}

uint64_t nn_checksum_file(const struct safetensors *w)
{
    const char *key, *value;
    uint64_t sum = 0;
    for (size_t i = 0; safetensors_meta_at(w, i, &key, &value); i++)
        sum += nn_checksum_text(key, value);
    int64_t n = (int64_t)safetensors_count(w);
    size_t all = 0;
    for (int64_t i = 0; i < n; i++)
        all += safetensors_at(w, (size_t)i).bytes;
#pragma omp parallel for schedule(dynamic, 1) reduction(+ : sum)               \
    if (all > NN_CHECKPOINT_PARALLEL)
    for (int64_t i = 0; i < n; i++) {
        struct safetensors_entry t = safetensors_at(w, (size_t)i);
        size_t bytes;
        const void *data = safetensors_bytes(w, t.name, &bytes);
        sum +=
            nn_checksum_tensor(t.name, t.dtype, t.ndim, t.shape, data, bytes);
    }
    return sum;
}

/* Does any of n words have all bits of the exponent set (and, unless
 * infinities count, one of the fraction)? */
CLONES static bool any_bad(const uint32_t *restrict w, size_t n,
                           uint32_t largest)
{
    uint32_t bad = 0;
    for (size_t i = 0; i < n; i++)
        bad |= (w[i] & 0x7fffffffu) > largest;
    return bad != 0;
}

size_t nn_find_not_finite(const void *data, size_t n, bool infinite_too)
{
    enum { PART = 4096 };
    const uint32_t largest = infinite_too ? 0x7f7fffffu : 0x7f800000u;
    uint32_t word[PART];
    for (size_t at = 0; at < n; at += PART) {
        size_t k = n - at < PART ? n - at : PART;
        memcpy(word, (const unsigned char *)data + 4 * at, 4 * k);
        if (!any_bad(word, k, largest))
            continue;
        for (size_t i = 0; i < k; i++) {
            if ((word[i] & 0x7fffffffu) > largest)
                return at + i;
        }
    }
    return n;
}
