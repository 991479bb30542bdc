/* The identity of a program: what of its file decides what it does. */
#define XXH_STATIC_LINKING_ONLY
#include <elf.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "lib/data/hash.h"

/* Every section that is loaded and is no note, with its place: debugging
 * information, which names the folder of the build, and the build id, which is
 * a hash over it, are left out, so a program that is built elsewhere or
 * stripped stays the same. False if this is no such file; nothing of it is
 * trusted. */
static bool hash_sections(const uint8_t *p, size_t n, XXH3_state_t *state)
{
    Elf64_Ehdr h;
    size_t hashed = 0;
    if (n < sizeof h)
        return false;
    memcpy(&h, p, sizeof h);
    if (memcmp(h.e_ident, ELFMAG, SELFMAG) != 0 ||
        h.e_ident[EI_CLASS] != ELFCLASS64 ||
        h.e_shentsize != sizeof(Elf64_Shdr) || h.e_shoff > n ||
        (n - h.e_shoff) / sizeof(Elf64_Shdr) < h.e_shnum)
        return false;
    for (size_t i = 0; i < h.e_shnum; i++) {
        Elf64_Shdr s;
        memcpy(&s, p + h.e_shoff + i * sizeof s, sizeof s);
        if (!(s.sh_flags & SHF_ALLOC) || s.sh_type == SHT_NOTE ||
            s.sh_type == SHT_NULL)
            continue;
        const uint64_t place[4] = {s.sh_type, s.sh_flags, s.sh_addr, s.sh_size};
        XXH3_128bits_update(state, place, sizeof place);
        if (s.sh_type == SHT_NOBITS)
            continue;
        if (s.sh_offset > n || s.sh_size > n - s.sh_offset)
            return false;
        XXH3_128bits_update(state, p + s.sh_offset, s.sh_size);
        hashed++;
    }
    return hashed > 0;
}

enum err_code hash_program(const char *path, char hex[33], struct err *e)
{
    XXH3_state_t state;
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    void *p = MAP_FAILED;
    bool ok = false;
    if (fd >= 0 && fstat(fd, &st) == 0 && st.st_size > 0)
        p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (p != MAP_FAILED) {
        XXH3_128bits_reset(&state);
        ok = hash_sections(p, (size_t)st.st_size, &state);
        (void)munmap(p, (size_t)st.st_size);
    }
    if (fd >= 0)
        close(fd);
    if (!ok) /* a script, or of another kind */
        return hash_file(path, hex, e);
    XXH128_hash_t h = XXH3_128bits_digest(&state);
    (void)snprintf(hex, 33, "%016llx%016llx", (unsigned long long)h.high64,
                   (unsigned long long)h.low64);
    return OK;
}
