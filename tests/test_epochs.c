/* lib/store/epochs: the order of a training source's records. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/store/epochs.h"

#define MAX 4096

/* Records 0..9 all of them (3 and 7 for validation), 100..124 four a time. */
static struct epochs *make(uint64_t seed, int64_t epochs, int64_t resume)
{
    struct epochs *p = NULL;
    struct err e;
    assert_int_equal(epochs_new(seed, epochs, &p, &e), OK);
    assert_int_equal(epochs_pool(p, EPOCHS_ALL, &e), OK);
    for (size_t i = 0; i < 10; i++)
        assert_int_equal(epochs_add(p, i, i == 3 || i == 7, &e), OK);
    assert_int_equal(epochs_pool(p, 4, &e), OK);
    for (size_t i = 100; i < 125; i++)
        assert_int_equal(epochs_add(p, i, false, &e), OK);
    assert_int_equal(epochs_start(p, resume, &e), OK);
    return p;
}

static size_t drain(struct epochs *p, struct epochs_sample *out, size_t most)
{
    size_t n = 0;
    bool end = false;
    struct err e;
    while (n < most) {
        assert_int_equal(epochs_next(p, &out[n], &end, &e), OK);
        if (end)
            break;
        n++;
    }
    return n;
}

static void test_contents(void **state)
{
    (void)state;
    static struct epochs_sample s[MAX];
    int count[125] = {0}, most = 0, least = MAX;
    const int64_t epochs = 25;
    struct epochs *p = make(1, epochs, 0);
    assert_int_equal(epochs_val_count(p), 2);
    assert_int_equal(epochs_size(p), 12);
    assert_int_equal(epochs_left(p), 2 + 12 * epochs);
    size_t n = drain(p, s, MAX);
    assert_int_equal(n, 2 + 12 * epochs);
    assert_int_equal(epochs_left(p), 0);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(s[i].position, i);
        assert_int_equal(s[i].epoch, i < 2 ? -1 : ((int64_t)i - 2) / 12);
        assert_int_equal(s[i].slot, i < 2 ? (int64_t)i : ((int64_t)i - 2) % 12);
        count[s[i].record]++;
    }
    assert_int_equal(s[0].record, 3);
    assert_int_equal(s[1].record, 7);
    for (int i = 0; i < 10; i++) /* once an epoch; validation once in all */
        assert_int_equal(count[i], i == 3 || i == 7 ? 1 : epochs);
    /* 25 epochs draw 100 times from 25: each of them four times. */
    for (int i = 100; i < 125; i++) {
        most = count[i] > most ? count[i] : most;
        least = count[i] < least ? count[i] : least;
    }
    assert_int_equal(most, 4);
    assert_int_equal(least, 4);
    epochs_free(&p);
    assert_null(p);
}

/* Each epoch holds each record of the whole pool once and four different
 * others (until a round ends within it). */
static void test_each_epoch(void **state)
{
    (void)state;
    static struct epochs_sample s[MAX];
    struct epochs *p = make(5, 6, 0);
    size_t n = drain(p, s, MAX);
    int differ = 0;
    for (int epoch = 0; epoch < 6; epoch++) {
        int seen[125] = {0}, others = 0;
        for (size_t i = 2; i < n; i++)
            if (s[i].epoch == epoch) {
                assert_int_equal(seen[s[i].record]++, 0);
                others += s[i].record >= 100;
                differ += epoch > 0 && s[i].record != s[i - 12].record;
            }
        assert_int_equal(others, 4);
    }
    assert_true(differ > 30); /* of 60; equal places are chance */
    epochs_free(&p);
}

static void test_seed(void **state)
{
    (void)state;
    static struct epochs_sample a[64], b[64], c[64];
    struct epochs *p = make(1, 5, 0), *q = make(1, 5, 0), *r = make(2, 5, 0);
    assert_int_equal(drain(p, a, 64), 62);
    assert_int_equal(drain(q, b, 64), 62);
    assert_int_equal(drain(r, c, 64), 62);
    int differ = 0;
    for (int i = 0; i < 62; i++) {
        assert_int_equal(a[i].record, b[i].record);
        differ += a[i].record != c[i].record;
    }
    assert_true(differ > 30);
    epochs_free(&p);
    epochs_free(&q);
    epochs_free(&r);
}

/* From any position on, a resumed stream is the rest of the whole one. */
static void test_resume(void **state)
{
    (void)state;
    static struct epochs_sample a[MAX], b[MAX];
    struct epochs *p = make(9, 4, 0);
    size_t n = drain(p, a, MAX);
    epochs_free(&p);
    for (int64_t from = 0; from <= (int64_t)n + 3; from++) {
        p = make(9, 4, from);
        size_t start = from < 2 ? 2 : from < (int64_t)n ? (size_t)from : n;
        assert_int_equal(epochs_left(p), 2 + n - start);
        assert_int_equal(drain(p, b, MAX), 2 + n - start);
        for (size_t i = 0; i < 2; i++)
            assert_memory_equal(&a[i], &b[i], sizeof *a);
        for (size_t i = start; i < n; i++) {
            assert_int_equal(a[i].record, b[2 + i - start].record);
            assert_int_equal(a[i].position, b[2 + i - start].position);
            assert_int_equal(a[i].epoch, b[2 + i - start].epoch);
            assert_int_equal(a[i].slot, b[2 + i - start].slot);
        }
        epochs_free(&p);
    }
}

static void test_endless(void **state)
{
    (void)state;
    static struct epochs_sample s[MAX];
    struct epochs *p = make(1, 0, 2 + 12 * (int64_t)1000000);
    assert_int_equal(epochs_left(p), -1);
    assert_int_equal(drain(p, s, MAX), MAX);
    assert_int_equal(s[2].epoch, 1000000);
    assert_int_equal(s[2].slot, 0);
    epochs_free(&p);
    /* So far on that nothing can be counted: the end, not an overflow. */
    p = make(1, 0, INT64_MAX);
    assert_int_equal(drain(p, s, MAX), 2);
    epochs_free(&p);
}

static void test_errors(void **state)
{
    (void)state;
    struct epochs *p = NULL;
    struct epochs_sample s;
    struct err e;
    bool end;
    assert_int_equal(epochs_new(1, -1, &p, &e), ERR_ARG);
    assert_null(p);
    assert_int_equal(epochs_new(1, 1, &p, &e), OK);
    assert_int_equal(epochs_add(p, 0, false, &e), ERR_STATE);
    assert_int_equal(epochs_next(p, &s, &end, &e), ERR_STATE);
    assert_int_equal(epochs_pool(p, EPOCHS_ALL, &e), OK);
    assert_int_equal(epochs_add(p, 0, true, &e), OK);
    assert_int_equal(epochs_start(p, 0, &e), ERR_DATA); /* validation only */
    assert_non_null(strstr(e.text, "no sample"));
    assert_int_equal(epochs_start(p, -1, &e), ERR_ARG);
    assert_int_equal(epochs_pool(p, 3, &e), OK);
    assert_int_equal(epochs_start(p, 0, &e), ERR_DATA); /* 3 of nothing */
    assert_non_null(strstr(e.text, "draw 3"));
    assert_int_equal(epochs_add(p, 1, false, &e), OK);
    assert_int_equal(epochs_start(p, 0, &e), OK);
    assert_int_equal(epochs_size(p), 3); /* one record, three times */
    assert_int_equal(epochs_start(p, 0, &e), ERR_STATE);
    assert_int_equal(epochs_add(p, 1, false, &e), ERR_STATE);
    assert_int_equal(epochs_pool(p, 1, &e), ERR_STATE);
    epochs_free(&p);
    epochs_free(&p);
    assert_int_equal(epochs_new(1, (int64_t)1 << 40, &p, &e), OK);
    assert_int_equal(epochs_pool(p, 1, &e), OK);
    assert_int_equal(epochs_add(p, 1, false, &e), OK);
    assert_int_equal(epochs_start(p, 0, &e), ERR_DATA);
    epochs_free(&p);
}

static void test_no_memory(void **state)
{
    (void)state;
    int64_t live = mem_live();
    for (uint64_t nth = 1;; nth++) {
        struct epochs *p = NULL;
        struct err e;
        mem_fail_nth(nth);
        enum err_code r = epochs_new(1, 2, &p, &e);
        if (!r)
            r = epochs_pool(p, EPOCHS_ALL, &e);
        for (size_t i = 0; !r && i < 300; i++)
            r = epochs_add(p, i, i % 10 == 0, &e);
        if (!r)
            r = epochs_start(p, 0, &e);
        bool hit = mem_fail_hit();
        mem_fail_nth(0);
        assert_int_equal(r, hit ? ERR_NOMEM : OK);
        epochs_free(&p);
        assert_int_equal(mem_live(), live);
        if (!hit) {
            assert_true(nth > 5);
            break;
        }
    }
}

/* The share is met, and a name's side does not depend on the others. */
static void test_held_back(void **state)
{
    (void)state;
    int held = 0;
    for (int i = 0; i < 10000; i++) {
        char name[32];
        snprintf(name, sizeof name, "%d_photo", i);
        bool in = epochs_held_back(name, 0.1);
        held += in;
        if (in) /* a larger share keeps what a smaller one held back */
            assert_true(epochs_held_back(name, 0.2));
        assert_false(epochs_held_back(name, 0));
        assert_true(epochs_held_back(name, 1));
    }
    /* 1000 expected, deviation 30: five of them */
    assert_in_range(held, 850, 1150);
}

static void test_resume_file(void **state)
{
    (void)state;
    char dir[] = "/tmp/facet-epochs-XXXXXX";
    struct err e;
    int64_t at = 5;
    assert_non_null(mkdtemp(dir));
    char *path = path_join(dir, "position");
    assert_non_null(path);
    assert_int_equal(epochs_read_resume("", &at, &e), OK);
    assert_int_equal(at, 0);
    assert_int_equal(epochs_read_resume("/no/such", &at, &e), OK);
    assert_int_equal(epochs_read_resume(dir, &at, &e), OK);
    assert_int_equal(at, 0);
    assert_int_equal(file_write_atomic(path, "123456\n", 7, &e), OK);
    assert_int_equal(epochs_read_resume(dir, &at, &e), OK);
    assert_int_equal(at, 123456);
    const char *const bad[] = {
        "",         "\n",     "-1",        "12 13",
        "1.5",      "0x10\n", "position=", "9999999999999999999999",
        "\xff\xfe", " 7"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(file_write_atomic(path, bad[i], strlen(bad[i]), &e),
                         OK);
        assert_int_equal(epochs_read_resume(dir, &at, &e), ERR_DATA);
        assert_non_null(strstr(e.text, "position'"));
        assert_int_equal(at, 0);
    }
    assert_int_equal(file_write_atomic(path, "7\0007", 3, &e), OK);
    assert_int_equal(epochs_read_resume(dir, &at, &e), ERR_DATA);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(dir), 0);
    mem_free(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_contents),   cmocka_unit_test(test_each_epoch),
        cmocka_unit_test(test_seed),       cmocka_unit_test(test_resume),
        cmocka_unit_test(test_endless),    cmocka_unit_test(test_errors),
        cmocka_unit_test(test_no_memory),  cmocka_unit_test(test_held_back),
        cmocka_unit_test(test_resume_file)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
