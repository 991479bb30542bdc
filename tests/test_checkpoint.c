/* Checkpoints: everything there and back, memory that fails, disks that are
 * full. What they refuse: test_checkpoint_refuse.c; training that goes on:
 * test_checkpoint_resume.c. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/nn/optim_impl.h"
#include "tests/support/checkpoint_world.h"

static char folder[64];
static char *path; /* of the checkpoint */

static int make_folder(void **state)
{
    (void)state;
    memcpy(folder, "/tmp/facet-ckpt-XXXXXX", 23);
    if (!mkdtemp(folder))
        return -1;
    path = path_join(folder, "run.ckpt");
    return path ? 0 : -1;
}

static int drop_folder(void **state)
{
    (void)state;
    char cmd[128];
    snprintf(cmd, sizeof cmd, "rm -rf '%s'", folder);
    mem_free(path);
    return system(cmd);
}

static void save(const struct world *w)
{
    struct err e = {0};
    if (nn_checkpoint_save(path, w->parts, w->values, NULL, &e))
        fail_msg("%s", e.text);
}

static void load(const struct world *w)
{
    struct err e = {0};
    if (nn_checkpoint_load(path, w->parts, w->values, &e))
        fail_msg("%s", e.text);
}

static struct buf bytes_of(const char *file)
{
    struct buf b;
    struct err e = {0};
    if (file_read(file, 1 << 24, &b, &e))
        fail_msg("%s", e.text);
    return b;
}

/* How many files stand in the folder, the hidden ones too. */
static int files(void)
{
    char cmd[128];
    int n = -1;
    snprintf(cmd, sizeof cmd, "ls -A '%s' | wc -l", folder);
    FILE *p = popen(cmd, "r");
    assert_non_null(p);
    assert_int_equal(fscanf(p, "%d", &n), 1);
    pclose(p);
    return n;
}

/* ---- There and back ---- */

static void round_trip(const struct world_recipe *r)
{
    struct world a, b;
    struct buf all;
    world_make(&a, r, 1);
    world_make(&b, r, 2);
    buf_init(&all, 1 << 20);
    save(&a);
    struct buf first = bytes_of(path);
    load(&b);
    world_dump(&a, false, &all);
    world_same(&b, false, &all, r->name);
    for (int k = 0; k < WORLD_PARTS; k++) {
        for (size_t i = 0; i < nn_params_count(b.ps[k]); i++)
            assert_int_equal(nn_params_at(b.ps[k], i)->version, 1);
    }
    save(&b);
    struct buf second = bytes_of(path);
    assert_int_equal(first.len, second.len);
    assert_memory_equal(first.data, second.data, first.len);
    buf_free(&first);
    buf_free(&second);
    buf_free(&all);
    world_free(&a);
    world_free(&b);
}

static void test_round_trip(void **state)
{
    (void)state;
    for (size_t i = 0; i < world_recipes_count; i++)
        round_trip(&world_recipes[i]);
}

/* No parts, or no values, is fine. */
static void test_nothing(void **state)
{
    (void)state;
    struct err e = {0};
    struct world w;
    const struct nn_checkpoint_part none[] = {{0}};
    uint64_t seven = 7;
    const struct nn_checkpoint_value one[] = {{"n", &seven, NULL}, {0}};
    assert_int_equal(nn_checkpoint_save(path, none, one, NULL, &e), OK);
    seven = 0;
    assert_int_equal(nn_checkpoint_load(path, none, one, &e), OK);
    assert_int_equal(seven, 7);
    world_make(&w, &world_recipes[0], 1);
    assert_int_equal(nn_checkpoint_save(path, w.parts, NULL, NULL, &e), OK);
    assert_int_equal(nn_checkpoint_load(path, w.parts, NULL, &e), OK);
    world_free(&w);
}

static void same_values(const struct safetensors *f, const char *prefix,
                        const struct world *w, bool average)
{
    struct err e = {0};
    struct nn_params *ps = nn_params_new(9, &e);
    const struct nn_optim *o = w->optim[0];
    assert_non_null(ps);
    nn_params_source(ps, f, prefix);
    for (size_t i = 0, slot = 0; i < nn_params_count(w->ps[0]); i++) {
        const struct nn_param *p = nn_params_at(w->ps[0], i);
        const struct tensor *want = p->value;
        struct nn_param *q;
        if (nn_params_get(ps, p->name, want->ndim, want->shape, p->buffer,
                          (struct nn_init_spec){0}, &q, &e))
            fail_msg("%s", e.text);
        if (average && !p->buffer)
            want = o->slot[slot].ema;
        slot += !p->buffer;
        assert_true(tensor_equal(q->value, want));
        if (strstr(p->name, "running_mean"))
            assert_true(q->updates == p->updates);
    }
    nn_params_free(&ps);
}

/* The weights of one part, and their averages, are a network's file under a
 * prefix; texts for people stand beside. */
static void test_as_weights(void **state)
{
    (void)state;
    struct err e = {0};
    struct world w;
    struct safetensors *f = NULL;
    const struct safetensors_pair meta[] = {
        {"note", "of \"\\\n\x01 \xc3\xa9"}, {"facet", "free"}, {NULL, NULL}};
    world_make(&w, &world_recipes[0], 1);
    assert_int_equal(nn_checkpoint_save(path, w.parts, w.values, meta, &e), OK);
    assert_int_equal(safetensors_read(path, &f, &e), OK);
    same_values(f, "generator.", &w, false);
    same_values(f, "ema.generator.", &w, true);
    assert_string_equal(safetensors_meta(f, "note"), meta[0].value);
    assert_string_equal(safetensors_meta(f, "facet"), "free");
    assert_string_equal(safetensors_meta(f, "facet.optim.generator"), "adamw");
    assert_string_equal(safetensors_meta(f, "facet.optim.generator.beta1"),
                        "f64 3feccccccccccccd (0.9)");
    assert_int_equal(nn_checkpoint_take(f, w.parts, w.values, &e), OK);
    safetensors_free(&f);
    load(&w);
    world_free(&w);
}

static void refused(const struct world *w,
                    const struct nn_checkpoint_value *values,
                    const struct safetensors_pair *meta, const char *text)
{
    struct err e = {0};
    struct buf before = bytes_of(path);
    assert_int_equal(nn_checkpoint_save(path, w->parts, values, meta, &e),
                     ERR_ARG);
    if (!strstr(e.text, text))
        fail_msg("'%s' lacks '%s'", e.text, text);
    struct buf after = bytes_of(path);
    assert_int_equal(before.len, after.len);
    assert_memory_equal(before.data, after.data, before.len);
    buf_free(&before);
    buf_free(&after);
}

static void test_names(void **state)
{
    (void)state;
    struct world w;
    char longer[5000];
    const char *was;
    uint64_t n = 1;
    double x = 1;
    memset(longer, 'a', sizeof longer - 1);
    longer[sizeof longer - 1] = 0;
    world_make(&w, &world_recipes[0], 1);
    save(&w);
    was = w.parts[0].name;
    const struct {
        const char *name, *text;
    } bad[] = {{"", "'' cannot name a part"},
               {"a.b", "'a.b' cannot name a part"},
               {"a b", "cannot name a part"},
               {"\xc3\xa9", "cannot name a part"},
               {longer, "cannot name a part"},
               {"ema", "'ema' is not free"},
               {"optim", "'optim' is not free"},
               {"critic", "part 'critic' is given twice"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        w.parts[0].name = bad[i].name;
        refused(&w, NULL, NULL, bad[i].text);
    }
    w.parts[0].name = was;
#define VALUES(...) ((const struct nn_checkpoint_value[]){__VA_ARGS__, {0}})
    refused(&w, VALUES({"a.b", &n, NULL}), NULL, "cannot name a value");
    refused(&w, VALUES({"a", &n, &x}), NULL, "'a' needs a number or a real");
    refused(&w, VALUES({"a", NULL, NULL}), NULL, "needs a number or a real");
    refused(&w, VALUES({"a", &n, NULL}, {"a", NULL, &x}), NULL,
            "value 'a' is given twice");
#define META(...) ((const struct safetensors_pair[]){__VA_ARGS__, {0}})
    refused(&w, NULL, META({"facet.x", "y"}), "'facet.x' is not free");
    refused(&w, NULL, META({"x", "y"}, {"x", "z"}), "'x' is given twice");
    refused(&w, NULL, META({longer, "y"}), "too long");
    refused(&w, NULL, META({"x", longer}), "over 4096 bytes");
    refused(&w, NULL, META({"x", "\xff"}), "not UTF-8");
    longer[4096] = 0;
    struct err e = {0};
    if (nn_checkpoint_save(path, w.parts, NULL, META({"x", longer}), &e) ||
        nn_checkpoint_load(path, w.parts, NULL, &e))
        fail_msg("%s", e.text);
    world_free(&w);
}

/* What no run could go on from is not saved either. */
static void test_states(void **state)
{
    (void)state;
    struct world w;
    world_make(&w, &world_recipes[0], 1);
    save(&w);
    double lr = nn_optim_lr(w.optim[0]);
    nn_optim_set_lr(w.optim[0], (double)NAN);
    refused(&w, NULL, NULL, "'generator' cannot be at lr nan");
    nn_optim_set_lr(w.optim[0], lr);
    w.schedule[0].scale = 2;
    refused(&w, NULL, NULL, "part 'generator': schedule: a plateau cannot be");
    w.schedule[0].scale = 1;
    w.parts[0].optim = w.optim[1];
    refused(&w, NULL, NULL, "is one of other parameters");
    world_free(&w);
}

static void test_not_finite(void **state)
{
    (void)state;
    struct world w;
    world_make(&w, &world_recipes[0], 1);
    save(&w);
    struct buf before = bytes_of(path);
    struct tensor *weight = nn_params_find(w.ps[0], "conv.weight")->value;
    struct nn_optim_slot *slot = &w.optim[0]->slot[1];
    const struct {
        struct tensor *t;
        size_t at;
        float v;
        const char *text;
    } bad[] = {
        {weight, 0, NAN, "'generator.conv.weight' is not fit"},
        {weight, 53, INFINITY, "element 53 of 54 is inf"},
        {weight, 7, -INFINITY, "element 7 of 54 is -inf"},
        {slot->ema, 2, INFINITY, "'ema.generator.bn.weight' is not fit"},
        {slot->v, 2, -NAN, "'optim.generator.bn.weight.exp_avg_sq'"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct err e = {0};
        float *at = tensor_f32(bad[i].t) + bad[i].at, was = *at;
        *at = bad[i].v;
        assert_int_equal(nn_checkpoint_save(path, w.parts, NULL, NULL, &e),
                         ERR_DATA);
        if (!strstr(e.text, bad[i].text))
            fail_msg("'%s' lacks '%s'", e.text, bad[i].text);
        *at = was;
    }
    struct buf after = bytes_of(path);
    assert_int_equal(before.len, after.len);
    assert_memory_equal(before.data, after.data, before.len);
    buf_free(&before);
    buf_free(&after);
    world_free(&w);
}

/* ---- Memory ---- */

static void test_no_memory(void **state)
{
    (void)state;
    struct world a, b;
    struct buf before;
    world_make(&a, &world_recipes[0], 1);
    world_make(&b, &world_recipes[0], 2);
    save(&a);
    buf_init(&before, 1 << 20);
    world_dump(&b, true, &before);
    struct buf old = bytes_of(path);
    int64_t live = mem_live();
    uint64_t n = 1;
    for (bool hit = true; hit; n++) {
        struct err e = {0};
        mem_fail_nth(n);
        enum err_code r =
            nn_checkpoint_load(path, b.parts, b.values, n % 2 ? &e : NULL);
        hit = mem_fail_hit();
        mem_fail_nth(0);
        assert_int_equal(r, hit ? ERR_NOMEM : OK);
        assert_int_equal(mem_live(), live);
        if (hit)
            world_same(&b, true, &before, "after a load without memory");
    }
    assert_true(n > 100);
    n = 1;
    for (bool hit = true; hit; n++) {
        struct err e = {0};
        a.epoch++;
        mem_fail_nth(n);
        enum err_code r = nn_checkpoint_save(path, a.parts, a.values, NULL,
                                             n % 2 ? &e : NULL);
        hit = mem_fail_hit();
        mem_fail_nth(0);
        assert_int_equal(r, hit ? ERR_NOMEM : OK);
        assert_int_equal(mem_live(), live);
        struct buf now = bytes_of(path);
        assert_int_equal(now.len == old.len &&
                             memcmp(now.data, old.data, old.len) == 0,
                         hit);
        buf_free(&now);
    }
    assert_true(n > 100);
    assert_int_equal(files(), 1);
    buf_free(&old);
    buf_free(&before);
    world_free(&a);
    world_free(&b);
}

static long peak_kib(void)
{
    struct rusage u;
    assert_int_equal(getrusage(RUSAGE_SELF, &u), 0);
    return u.ru_maxrss;
}

/* Tensors go into the file from where they are: saving 96 MiB takes far less
 * than that (sanitizers keep some beside). */
static void test_no_second_copy(void **state)
{
    (void)state;
    const struct nn_optim_options adam = {.kind = NN_ADAM, .lr = 1e-3};
    const struct world_recipe r = {
        "large", {NULL, &adam}, {NULL, NULL}, (int64_t)8 << 20};
    struct world w;
    world_make(&w, &r, 1);
    long before = peak_kib();
    save(&w);
    long more = peak_kib() - before;
    if (more > 32 * 1024)
        fail_msg("saving took %ld KiB", more);
    assert_int_equal(unlink(path), 0);
    world_free(&w);
}

/* ---- Disks ---- */

static void fails_to_save(const char *to, const struct world *w,
                          const char *text)
{
    struct err e = {0};
    int64_t live = mem_live();
    assert_int_equal(nn_checkpoint_save(to, w->parts, w->values, NULL, &e),
                     ERR_IO);
    if (!strstr(e.text, text) || !strstr(e.text, folder))
        fail_msg("'%s' lacks '%s' or '%s'", e.text, text, folder);
    assert_int_equal(mem_live(), live);
}

/* A file may have this many bytes, as on a disk that is nearly full. */
static void limit_files(rlim_t n)
{
    struct rlimit r;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &r), 0);
    r.rlim_cur = n < r.rlim_max ? n : r.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &r), 0);
}

static void test_disk(void **state)
{
    (void)state;
    struct world w;
    world_make(&w, &world_recipes[0], 1);
    save(&w);
    struct buf before = bytes_of(path);
    w.epoch++;
    (void)signal(SIGXFSZ, SIG_IGN);
    /* in the header, between tensors, one byte short */
    const rlim_t limits[] = {0, 100, before.len - 300, before.len - 1};
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        limit_files(limits[i]);
        fails_to_save(path, &w, "File too large");
        limit_files(RLIM_INFINITY);
        assert_int_equal(files(), 1);
    }
    /* A folder that is not ours; root does not mind permissions. */
    assert_int_equal(chmod(folder, 0555), 0);
    bool root = geteuid() == 0;
    if (root)
        assert_int_equal(seteuid(65534), 0);
    fails_to_save(path, &w, "Permission denied");
    if (root)
        assert_int_equal(seteuid(0), 0);
    assert_int_equal(chmod(folder, 0755), 0);
    struct buf after = bytes_of(path);
    assert_int_equal(before.len, after.len);
    assert_memory_equal(before.data, after.data, before.len);
    buf_free(&before);
    buf_free(&after);
    fails_to_save(folder, &w, "Is a directory");
    char *under = path_join(path, "x");
    fails_to_save(under, &w, "Not a directory");
    mem_free(under);
    assert_int_equal(files(), 1);
    world_free(&w);
}

/* What a killed writer left goes with the next save; what only looks alike,
 * and what another path's writer is at, stays. */
static void test_leftovers(void **state)
{
    (void)state;
    static const char *const gone[] = {".tmp-run.ckpt-abcdef",
                                       ".tmp-run.ckpt-Z9Z9Z9"};
    static const char *const stays[] = {
        ".tmp-run.ckpt-abcde",   ".tmp-run.ckpt-abcdefg",
        ".tmp-run.ckpt2-abcdef", ".tmp-run.ckpt-2-abcdef",
        "tmp-run.ckpt-abcdef",   "run.ckpt-abcdef"};
    struct err e = {0};
    struct world w;
    world_make(&w, &world_recipes[0], 1);
    for (size_t i = 0; i < 8; i++) {
        char *p = path_join(folder, i < 2 ? gone[i] : stays[i - 2]);
        assert_int_equal(file_write_atomic(p, "half", 4, &e), OK);
        mem_free(p);
    }
    save(&w);
    load(&w);
    for (size_t i = 0; i < 8; i++) {
        char *p = path_join(folder, i < 2 ? gone[i] : stays[i - 2]);
        assert_int_equal(file_exists(p), i >= 2);
        assert_int_equal(unlink(p), i < 2 ? -1 : 0);
        mem_free(p);
    }
    assert_int_equal(files(), 1);
    world_free(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_nothing),
        cmocka_unit_test(test_as_weights),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_states),
        cmocka_unit_test(test_not_finite),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_no_second_copy),
        cmocka_unit_test(test_disk),
        cmocka_unit_test(test_leftovers),
    };
    return cmocka_run_group_tests(tests, make_folder, drop_folder);
}
