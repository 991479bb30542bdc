/* Checkpoints that are damaged, or of another run: refused with a text that
 * says what is wrong, and nothing is changed in memory. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/nn/checkpoint_impl.h"
#include "tests/support/checkpoint_world.h"

static char path[] = "/tmp/facet-ckpt-XXXXXX";
static struct world source, here; /* of the first recipe */
static struct buf good;           /* source's file */
static struct buf before;         /* all of here */

static int start(void **state)
{
    (void)state;
    struct err e = {0};
    int fd = mkstemp(path);
    if (fd < 0)
        return -1;
    close(fd);
    world_make(&source, &world_recipes[0], 1);
    world_make(&here, &world_recipes[0], 2);
    if (nn_checkpoint_save(path, source.parts, source.values, NULL, &e) ||
        file_read(path, 1 << 20, &good, &e))
        return -1;
    buf_init(&before, 1 << 20);
    world_dump(&here, true, &before);
    return 0;
}

static int end(void **state)
{
    (void)state;
    world_free(&source);
    world_free(&here);
    buf_free(&good);
    buf_free(&before);
    return unlink(path);
}

/* Into `here` from bytes; for all but OK it must be as before. */
static enum err_code take(const void *data, size_t n, struct err *e)
{
    struct safetensors *f = NULL;
    int64_t live = mem_live();
    enum err_code r = safetensors_parse(data, n, "a.ckpt", &f, e);
    if (!r)
        r = nn_checkpoint_take(f, here.parts, here.values, e);
    safetensors_free(&f);
    assert_int_equal(mem_live(), live);
    if (r)
        world_same(&here, true, &before, "after a refusal");
    return r;
}

/* `here` with source's contents, then again with its own. */
static void check_taken(void)
{
    struct buf want;
    buf_init(&want, 1 << 20);
    world_dump(&source, false, &want);
    world_same(&here, false, &want, "after a load");
    buf_free(&want);
    world_free(&here);
    world_make(&here, &world_recipes[0], 2);
    world_same(&here, true, &before, "anew");
}

static void expect(enum err_code want, const char *text, enum err_code got,
                   const struct err *e)
{
    if (got != want || (got && !strstr(e->text, text)))
        fail_msg("code %d, not %d ('%s'): '%s'", (int)got, (int)want, text,
                 e->text);
}

/* ---- Damage ---- */

/* Where the header's closing brace stands: behind it only spaces are left. */
static size_t brace(void)
{
    size_t n = good.data[0] | (size_t)good.data[1] << 8;
    for (size_t i = 8 + n; i-- > 8;) {
        if (good.data[i] == '}')
            return i;
    }
    fail_msg("no brace");
    return 0;
}

/* Every byte with each bit turned, all bits, and every other kind of white
 * space (which says the same behind the header: then nothing else may). */
static void test_every_byte(void **state)
{
    (void)state;
    size_t padding = 0, closed = brace();
    size_t data = 8 + (good.data[0] | (size_t)good.data[1] << 8);
    uint8_t *p = mem_alloc(good.len);
    assert_non_null(p);
    memcpy(p, good.data, good.len);
    for (size_t i = 0; i < good.len; i++) {
        static const uint8_t space[] = {' ', '\t', '\n', '\r'};
        for (int k = 0; k < 13; k++) {
            struct err e = {0};
            uint8_t was = good.data[i];
            p[i] = k < 8   ? (uint8_t)(was ^ 1u << k)
                   : k < 9 ? (uint8_t)~was
                           : space[k - 9];
            if (p[i] == was)
                continue;
            enum err_code r = take(p, good.len, &e);
            if (r == ERR_UNSUPPORTED) { /* another version's digit */
                assert_non_null(strstr(e.text, "of version"));
                continue;
            }
            if (r == OK && k >= 9 && i > closed && i < data) {
                check_taken();
                padding++;
                continue;
            }
            if (r != ERR_DATA)
                fail_msg("byte %zu of %zu as %d: code %d, '%s'", i, good.len,
                         p[i], (int)r, e.text);
        }
        p[i] = good.data[i];
    }
    assert_int_equal(padding, 3 * (data - closed - 1));
    mem_free(p);
}

static void test_cut(void **state)
{
    (void)state;
    struct err e = {0};
    for (size_t n = 0; n < good.len; n++)
        expect(ERR_DATA, "'a.ckpt'", take(good.data, n, &e), &e);
    struct buf longer;
    buf_init(&longer, good.len + 1);
    if (buf_put(&longer, good.data, good.len, &e) ||
        buf_put(&longer, "", 1, &e))
        fail_msg("%s", e.text);
    expect(ERR_DATA, "1 bytes after the last tensor",
           take(longer.data, longer.len, &e), &e);
    buf_free(&longer);
    expect(OK, "", take(good.data, good.len, &e), &e);
    check_taken();
}

/* Bytes of one tensor in another of the same size; two texts in each other's
 * place. */
static void test_swapped(void **state)
{
    (void)state;
    struct err e = {0};
    struct safetensors *f = NULL;
    size_t n;
    assert_int_equal(safetensors_parse(good.data, good.len, "x", &f, &e), OK);
    const uint8_t *base = safetensors_bytes(f, "generator.conv.weight", &n);
    const uint8_t *a = safetensors_bytes(f, "generator.bn.weight", &n);
    const uint8_t *b = safetensors_bytes(f, "generator.bn.running_mean", &n);
    size_t data = 8 + (good.data[0] | (size_t)good.data[1] << 8);
    uint8_t *p = mem_alloc(good.len);
    assert_non_null(p);
    memcpy(p, good.data, good.len);
    memcpy(p + data + (a - base), b, n);
    memcpy(p + data + (b - base), a, n);
    expect(ERR_DATA, "'a.ckpt' is damaged: its checksum is",
           take(p, good.len, &e), &e);
    memcpy(p, good.data, good.len);
    char *x = strstr((char *)p + 8, "i64 "), *y = strstr(x + 4, "i64 ");
    char *z = strstr(x, "(");
    size_t same = (size_t)(z - x);
    memmove(x, (const char *)good.data + (y - (char *)p), same);
    memmove(y, (const char *)good.data + (x - (char *)p), same);
    assert_memory_not_equal(p, good.data, good.len);
    expect(ERR_DATA, "is damaged", take(p, good.len, &e), &e);
    mem_free(p);
    safetensors_free(&f);
}

/* ---- Whole files with other contents ---- */

enum edit {
    TENSOR_LESS,
    TENSOR_MORE,
    TENSOR_FLAT, /* one dimension */
    TENSOR_I32,
    TENSOR_F16,   /* of half the bytes */
    TENSOR_SET,   /* element 1 to what text says as a float */
    TENSOR_COUNT, /* an i64, to what text says */
    TEXT_LESS,
    TEXT_MORE,
    TEXT_SET
};

struct forgery {
    enum edit edit;
    const char *name, *text;
    enum err_code code;
    const char *says;
};

static const struct forgery forgeries[] = {
    {TENSOR_LESS, "generator.conv.weight", "", ERR_DATA,
     "'a.ckpt' lacks tensor 'generator.conv.weight'"},
    {TENSOR_LESS, "optim.generator.gain.exp_avg_sq", "", ERR_DATA,
     "lacks tensor 'optim.generator.gain.exp_avg_sq'"},
    {TENSOR_LESS, "ema.generator.bn.running_var", "", ERR_DATA,
     "lacks tensor 'ema.generator.bn.running_var'"},
    {TENSOR_LESS, "generator.bn.num_batches_tracked", "", ERR_DATA,
     "lacks tensor 'generator.bn.num_batches_tracked'"},
    {TENSOR_MORE, "generator.more", "", ERR_DATA,
     "'a.ckpt' has tensor 'generator.more', which this run has no place for"},
    {TENSOR_FLAT, "generator.conv.weight", "", ERR_DATA,
     "'generator.conv.weight' is f32[54] there and f32[3,2,3,3] here"},
    {TENSOR_I32, "critic.weight", "", ERR_DATA,
     "'critic.weight' is i32[5] there and f32[5] here"},
    {TENSOR_F16, "optim.critic.weight.exp_avg", "", ERR_DATA,
     "is f16[5] there and f32[5] here"},
    {TENSOR_SET, "critic.weight", "nan", ERR_DATA,
     "'critic.weight' has a NaN or an infinity at element 1"},
    {TENSOR_SET, "critic.weight", "-inf", ERR_DATA, "an infinity at element 1"},
    {TENSOR_SET, "ema.generator.bn.weight", "inf", ERR_DATA, "at element 1"},
    {TENSOR_SET, "optim.critic.weight.exp_avg_sq", "nan", ERR_DATA,
     "'optim.critic.weight.exp_avg_sq' has a NaN"},
    {TENSOR_COUNT, "generator.bn.num_batches_tracked", "-1", ERR_DATA,
     "'generator.bn.running_mean' are of -1 batches"},
    {TEXT_LESS, "facet.checkpoint", "", ERR_DATA,
     "'a.ckpt' is no checkpoint (it lacks 'facet.checkpoint')"},
    {TEXT_SET, "facet.checkpoint", "2", ERR_UNSUPPORTED,
     "'a.ckpt' is a checkpoint of version 2; this program reads version 1"},
    {TEXT_LESS, "facet.optim.critic", "", ERR_DATA,
     "lacks 'facet.optim.critic'"},
    {TEXT_SET, "facet.optim.critic", "sgd", ERR_DATA,
     "optim.critic is 'sgd' there and 'adam' here"},
    {TEXT_LESS, "facet.optim.critic.eps", "", ERR_DATA,
     "lacks 'facet.optim.critic.eps'"},
    {TEXT_SET, "facet.optim.critic.beta1", "f64 3fe8000000000000 (0.75)",
     ERR_DATA, "optim.critic beta1 is 0.75 there and 0.5 here"},
    {TEXT_SET, "facet.optim.critic.nesterov", "bool 0000000000000001 (true)",
     ERR_DATA, "optim.critic nesterov is true there and false here"},
    {TEXT_SET, "facet.optim.critic.nesterov", "bool 0000000000000002 (true)",
     ERR_DATA, "no number"},
    {TEXT_SET, "facet.optim.critic.steps", "i64 ffffffffffffffff (-1)",
     ERR_DATA, "'a.ckpt': the optimiser of 'critic' cannot be at"},
    {TEXT_SET, "facet.optim.generator.averaged", "i64 8000000000000000 ()",
     ERR_DATA, "'generator' cannot be at"},
    {TEXT_SET, "facet.optim.critic.lr", "f64 7ff8000000000000 (nan)", ERR_DATA,
     "cannot be at lr nan"},
    {TEXT_SET, "facet.optim.critic.lr", "f64 bff8000000000000 (-1.5)", ERR_DATA,
     "cannot be at lr -1.5"},
    {TEXT_LESS, "facet.schedule.critic", "", ERR_DATA,
     "lacks 'facet.schedule.critic'"},
    {TEXT_SET, "facet.schedule.critic", "step", ERR_DATA,
     "schedule.critic is 'step' there and 'cosine' here"},
    {TEXT_SET, "facet.schedule.critic.total", "f64 4059000000000000 (100)",
     ERR_DATA, "schedule.critic total is 100 there and 10 here"},
    {TEXT_SET, "facet.schedule.generator.patience", "i64 0000000000000009 (9)",
     ERR_DATA, "schedule.generator patience is 9 there and 3 here"},
    {TEXT_SET, "facet.schedule.generator.scale", "f64 4000000000000000 (2)",
     ERR_DATA, "schedule.generator: schedule: a plateau cannot be at"},
    {TEXT_LESS, "facet.value.best", "", ERR_DATA, "lacks 'facet.value.best'"},
    {TEXT_MORE, "facet.value.more", "u64 0000000000000001 (1)", ERR_DATA,
     "'a.ckpt' has 'facet.value.more', which this run has no place for"},
    {TEXT_MORE, "facet.optim.other", "sgd", ERR_DATA,
     "has 'facet.optim.other', which"},
    {TEXT_SET, "facet.value.epoch", "f64 0000000000000001 (1)", ERR_DATA,
     "'facet.value.epoch' is 'f64 0000000000000001 (1)', no number"},
    {TEXT_SET, "facet.value.epoch", "u64 000000000000001 (1)", ERR_DATA,
     "no number"},
    {TEXT_SET, "facet.value.epoch", "u64 000000000000000A (1)", ERR_DATA,
     "no number"},
    {TEXT_SET, "facet.value.epoch", "u64 00000000000000011", ERR_DATA,
     "no number"},
    {TEXT_SET, "facet.value.epoch", "u64 ", ERR_DATA, "no number"},
    {TEXT_SET, "facet.value.epoch", "", ERR_DATA, "no number"},
    /* these are fine */
    {TENSOR_SET, "optim.critic.weight.exp_avg_sq", "inf", OK, ""},
    {TEXT_MORE, "note", "of somebody", OK, ""},
    {TEXT_SET, "facet.optim.critic.lr", "f64 3ff8000000000000 (1.5)", OK, ""},
    {TEXT_SET, "facet.value.epoch", "u64 0000000000000001 (not read)", OK, ""},
};

static struct nn_items_entry *entry(const struct nn_items *l, const char *name)
{
    for (size_t i = 0; i < l->n; i++) {
        if (strcmp(l->entry[i].name, name) == 0)
            return &l->entry[i];
    }
    fail_msg("no tensor '%s'", name);
    return NULL;
}

static struct nn_meta_pair *pair(const struct nn_meta *m, const char *key)
{
    for (size_t i = 0; i < m->n; i++) {
        if (strcmp(m->pair[i].key, key) == 0)
            return &m->pair[i];
    }
    fail_msg("no text '%s'", key);
    return NULL;
}

/* The good file in pieces. */
static void take_apart(struct nn_items *l, struct nn_meta *m)
{
    struct err e = {0};
    struct safetensors *f = NULL;
    const char *key, *value;
    struct tensor *t;
    enum err_code r = safetensors_parse(good.data, good.len, "x", &f, &e);
    for (size_t i = 0; !r && i < safetensors_count(f); i++) {
        const char *name = safetensors_at(f, i).name;
        r = safetensors_tensor(f, name, &t, &e);
        if (!r)
            r = nn_items_add(l, t, &e, "%s", name);
    }
    for (size_t i = 0; !r && safetensors_meta_at(f, i, &key, &value); i++)
        r = nn_meta_add(m, value, &e, "%s", key);
    if (r)
        fail_msg("%s", e.text);
    safetensors_free(&f);
}

/* Another tensor of the same bytes, or the first of them. */
static void replace(struct nn_items_entry *x, enum dtype d, int ndim)
{
    struct err e = {0};
    const int64_t flat = (int64_t)x->tensor->count;
    struct tensor *t =
        tensor_new(d, ndim, ndim == 1 ? &flat : x->tensor->shape, &e);
    assert_non_null(t);
    memcpy(t->data, x->tensor->data, t->bytes);
    tensor_free(&x->tensor);
    x->tensor = t;
}

static void edit_tensor(const struct forgery *f, struct nn_items *l)
{
    struct err e = {0};
    if (f->edit == TENSOR_MORE) {
        assert_int_equal(
            nn_items_add(l, tensor_new(DT_F32, 0, NULL, &e), &e, "%s", f->name),
            OK);
        return;
    }
    struct nn_items_entry *x = entry(l, f->name);
    if (f->edit == TENSOR_LESS) {
        mem_free(x->name);
        tensor_free(&x->tensor);
        *x = l->entry[--l->n];
    } else if (f->edit == TENSOR_SET) {
        tensor_f32(x->tensor)[1] = strtof(f->text, NULL);
    } else if (f->edit == TENSOR_COUNT) {
        tensor_i64(x->tensor)[0] = strtoll(f->text, NULL, 10);
    } else {
        replace(x,
                f->edit == TENSOR_FLAT  ? DT_F32
                : f->edit == TENSOR_I32 ? DT_I32
                                        : DT_F16,
                f->edit == TENSOR_FLAT ? 1 : x->tensor->ndim);
    }
}

static void edit_text(const char *key, const char *text, bool less,
                      struct nn_meta *m)
{
    struct nn_meta_pair *x = pair(m, key);
    mem_free(x->value);
    x->value = mem_strdup(text);
    assert_non_null(x->value);
    if (less) {
        mem_free(x->key);
        mem_free(x->value);
        *x = m->pair[--m->n];
    }
}

static void put_together(const struct nn_items *l, const struct nn_meta *m,
                         struct buf *b)
{
    struct safetensors_item item[64] = {{0}};
    struct safetensors_pair pairs[128] = {{0}};
    struct err e = {0};
    assert_true(l->n < 64 && m->n < 128);
    for (size_t i = 0; i < l->n; i++)
        item[i] =
            (struct safetensors_item){l->entry[i].name, l->entry[i].tensor};
    for (size_t i = 0; i < m->n; i++)
        pairs[i] = (struct safetensors_pair){m->pair[i].key, m->pair[i].value};
    buf_init(b, 1 << 20);
    if (safetensors_encode(b, item, pairs, &e))
        fail_msg("%s", e.text);
}

/* The good file, edited, with a checksum that is right for it. */
static void forge(const struct forgery *f, struct buf *b)
{
    struct nn_items l = {0};
    struct nn_meta m = {0};
    struct err e = {0};
    struct safetensors *file = NULL;
    char sum[24];
    take_apart(&l, &m);
    if (f->edit == TEXT_MORE)
        assert_int_equal(nn_meta_add(&m, f->text, &e, "%s", f->name), OK);
    else if (f->edit == TEXT_SET || f->edit == TEXT_LESS)
        edit_text(f->name, f->text, f->edit == TEXT_LESS, &m);
    else
        edit_tensor(f, &l);
    put_together(&l, &m, b);
    assert_int_equal(safetensors_parse(b->data, b->len, "x", &file, &e), OK);
    snprintf(sum, sizeof sum, "%016llx",
             (unsigned long long)nn_checksum_file(file));
    safetensors_free(&file);
    buf_free(b);
    edit_text("facet.checksum", sum, false, &m);
    put_together(&l, &m, b);
    nn_items_free(&l);
    nn_meta_free(&m);
}

static void test_forged(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof forgeries / sizeof *forgeries; i++) {
        const struct forgery *f = &forgeries[i];
        struct err e = {0};
        struct buf b;
        forge(f, &b);
        enum err_code r = take(b.data, b.len, &e);
        if (r != f->code || (r && !strstr(e.text, f->says)))
            fail_msg("'%s' as '%s': code %d, '%s', not '%s'", f->name, f->text,
                     (int)r, e.text, f->says);
        buf_free(&b);
        if (r)
            continue;
        world_free(&here);
        world_make(&here, &world_recipes[0], 2);
    }
}

/* Statistics stand twice; where they differ, the network's own count. */
static void test_which_statistics(void **state)
{
    (void)state;
    static const char mean[] = "bn.running_mean";
    const struct forgery f = {TENSOR_SET, "ema.generator.bn.running_mean",
                              "7.5", OK, ""};
    struct err e = {0};
    struct buf b;
    forge(&f, &b);
    expect(OK, "", take(b.data, b.len, &e), &e);
    assert_true(tensor_equal(nn_params_find(source.ps[0], mean)->value,
                             nn_params_find(here.ps[0], mean)->value));
    check_taken();
    buf_free(&b);
}

/* The checksum itself: missing, or another's. */
static void test_checksum(void **state)
{
    (void)state;
    struct nn_items l = {0};
    struct nn_meta m = {0};
    struct err e = {0};
    struct buf b;
    take_apart(&l, &m);
    edit_text("facet.checksum", "0123456789abcdef", false, &m);
    put_together(&l, &m, &b);
    expect(ERR_DATA, "not 0123456789abcdef", take(b.data, b.len, &e), &e);
    buf_free(&b);
    edit_text("facet.checksum", "", true, &m);
    put_together(&l, &m, &b);
    expect(ERR_DATA, "'a.ckpt' is damaged: it has no checksum",
           take(b.data, b.len, &e), &e);
    buf_free(&b);
    nn_items_free(&l);
    nn_meta_free(&m);
}

/* ---- Other files, other runs ---- */

static void write_file(const void *data, size_t n)
{
    struct err e = {0};
    if (file_write_atomic(path, data, n, &e))
        fail_msg("%s", e.text);
}

static void load_fails(enum err_code code, const char *file, const char *text)
{
    struct err e = {0};
    int64_t live = mem_live();
    enum err_code r = nn_checkpoint_load(file, here.parts, here.values, &e);
    expect(code, text, r, &e);
    assert_non_null(strstr(e.text, file));
    assert_int_equal(mem_live(), live);
    world_same(&here, true, &before, "after a refusal");
}

static void test_files(void **state)
{
    (void)state;
    struct err e = {0};
    load_fails(ERR_NOTFOUND, "/nonexistent/x.ckpt", "No such file");
    load_fails(ERR_IO, "/tmp", "is a folder");
    write_file("", 0);
    load_fails(ERR_DATA, path, "no safetensors file");
    write_file("all kinds of things, but no weights", 35);
    load_fails(ERR_DATA, path, "no safetensors file");
    assert_int_equal(nn_params_save(source.ps[0], path, NULL, &e), OK);
    load_fails(ERR_DATA, path, "is no checkpoint");
    write_file(good.data, good.len);
    assert_int_equal(nn_checkpoint_load(path, here.parts, here.values, &e), OK);
    check_taken();
}

static void test_arguments(void **state)
{
    (void)state;
    struct err e = {0};
    write_file(good.data, good.len);
    here.parts[0].name = "a.b";
    expect(ERR_ARG, "cannot name a part",
           nn_checkpoint_load(path, here.parts, here.values, &e), &e);
    here.parts[0].name = "generator";
    here.values[0].real = &here.best;
    expect(ERR_ARG, "needs a number or a real",
           nn_checkpoint_load(path, here.parts, here.values, &e), &e);
    here.values[0].real = NULL;
    world_same(&here, true, &before, "after a refusal");
}

/* The first recipe's file into worlds made by the others. */
static void test_other_runs(void **state)
{
    (void)state;
    static const char *const says[] = {
        "",
        "optim.generator is 'adamw' there and 'sgd' here",
        "optim.generator is 'adamw' there and 'adam' here",
        "optim.generator is 'adamw' there and 'sgd' here",
        "'facet.optim.generator', which this run has no place for",
        "'facet.optim.generator', which this run has no place for"};
    assert_int_equal(world_recipes_count, sizeof says / sizeof *says);
    write_file(good.data, good.len);
    for (size_t i = 1; i <= world_recipes_count; i++) {
        struct err e = {0};
        struct world w;
        struct buf was;
        struct world_recipe r = world_recipes[i % world_recipes_count];
        if (i == world_recipes_count)
            r.width = 6;
        world_make(&w, &r, 3);
        buf_init(&was, 1 << 20);
        world_dump(&w, true, &was);
        expect(ERR_DATA,
               i < world_recipes_count
                   ? says[i]
                   : "'critic.weight' is f32[5] there and f32[6] here",
               nn_checkpoint_load(path, w.parts, w.values, &e), &e);
        world_same(&w, true, &was, r.name);
        buf_free(&was);
        world_free(&w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_byte),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_swapped),
        cmocka_unit_test(test_forged),
        cmocka_unit_test(test_which_statistics),
        cmocka_unit_test(test_checksum),
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_arguments),
        cmocka_unit_test(test_other_runs),
    };
    return cmocka_run_group_tests(tests, start, end);
}
