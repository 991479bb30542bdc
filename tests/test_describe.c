/* Descriptions of stages: what is written as YAML is read back the same; help
 * and manual pages; tables that are wrong; where stages are found. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/flow/describe.h"
#include "lib/flow/dirs.h"
#include "lib/flow/pipeline.h"

struct ctx {
    double yaw, gain;
    int fill;
    const char *note;
};

static enum err_code work(void *ctx, struct stage *s, struct item *const *in,
                          size_t n, struct err *e)
{
    (void)ctx, (void)s, (void)in, (void)n;
    return err_set(e, ERR_STATE, "never called");
}

static const struct stage_port ins[] = {
    {"in", "frame u8[H,W,3], yaw f64?", "pictures: \"upright\" ones"},
    {"marks", "landmarks f32[68,3], ...", NULL},
    {0}};
static const struct stage_port outs[] = {{"out", "", "the same"}, {0}};
static const struct stage_param params[] = {
    {"yaw", PARAM_FLOAT, offsetof(struct ctx, yaw), "0.1", -90, 90, NULL, "deg",
     "Turn. With \\ and 'quotes'\nand a second line."},
    {"gain", PARAM_FLOAT, offsetof(struct ctx, gain), "1", 0, (double)INFINITY,
     NULL, NULL, "- Factor: 100 %."},
    {"fill", PARAM_ENUM, offsetof(struct ctx, fill), "no", 0, 0, "no|yes|~",
     NULL, "Fill."},
    {"note", PARAM_STR, offsetof(struct ctx, note), NULL, 0, 0, NULL, NULL,
     ".Starts with a dot."},
    {0}};
static const struct stage_desc desc = {
    .name = "turner",
    .help = "Turns things: all of them. Then it rests; \xc3\xa9\x01.",
    .kind = STAGE_TRANSFORM,
    .in = ins,
    .out = outs,
    .params = params,
    .ctx_size = sizeof(struct ctx),
    .batch = 8,
    .transform = work,
};
static const struct describe_option options[] = {{"--stdio", "Items by tape."},
                                                 {NULL, NULL}};

static void round_trip(void **state)
{
    (void)state;
    struct stage_info *info = NULL;
    struct buf b;
    struct err e = {0};
    buf_init(&b, 1 << 20);
    assert_int_equal(describe_yaml(&desc, &b, &e), OK);
    enum err_code rc = stage_info_parse(buf_str(&b), b.len, "x", &info, &e);
    assert_string_equal(e.text, "");
    assert_int_equal(rc, OK);
    assert_true(info->ours);
    assert_string_equal(info->name, desc.name);
    assert_string_equal(info->help, desc.help);
    assert_string_equal(info->kind, "transform");
    assert_int_equal(info->batch, 8);
    assert_int_equal(info->n_in, 2);
    assert_string_equal(info->in[0].help, ins[0].help);
    assert_string_equal(info->in[0].fields[0].type, "u8[H,W,3]");
    assert_false(info->in[0].fields[0].optional);
    assert_string_equal(info->in[0].fields[1].type, "f64");
    assert_true(info->in[0].fields[1].optional);
    assert_false(info->in[0].open);
    assert_true(info->in[1].open);
    assert_int_equal(info->n_out, 1);
    assert_int_equal(info->out[0].n, 0);
    assert_int_equal(info->n_params, 4);
    for (size_t i = 0; i < 4; i++) {
        const struct info_param *p = &info->params[i];
        assert_string_equal(p->name, params[i].name);
        assert_string_equal(p->help, params[i].help);
        assert_memory_equal(&p->min, &params[i].min, sizeof p->min);
        assert_memory_equal(&p->max, &params[i].max, sizeof p->max);
        if (params[i].def)
            assert_string_equal(p->def, params[i].def);
        else
            assert_null(p->def);
    }
    assert_string_equal(info->params[0].unit, "deg");
    assert_string_equal(info->params[2].choices, "no|yes|~");
    stage_info_free(&info);
    buf_free(&b);
}

static void help_text(void **state)
{
    (void)state;
    struct buf b;
    struct err e;
    buf_init(&b, 1 << 20);
    assert_int_equal(describe_help(&desc, options, &b, &e), OK);
    const char *want[] = {
        ("usage: turner --note VALUE [--PARAMETER VALUE]... --stdio < TAPE > "
         "TAPE\n"),
        "\nturner (transform): Turns things: all of them.",
        "\nInput:\n  in        frame u8[H,W,3], yaw f64?\n",
        "\nOutput:\n  out       any item\n",
        "\n  --yaw NUMBER            Turn.",
        "[deg; -90..90; default 0.1]\n",
        "[>= 0; default 1]\n",
        "[required]\n",
        "\nOptions:\n  --stdio                 Items by tape.\n",
    };
    for (size_t i = 0; i < sizeof want / sizeof want[0]; i++)
        if (!strstr(buf_str(&b), want[i]))
            fail_msg("no '%s' in:\n%s", want[i], buf_str(&b));
    size_t col = 0;
    for (const char *s = buf_str(&b); *s; s++) {
        col = *s == '\n' ? 0 : col + 1;
        assert_true(col <= 81); /* a character of two bytes is among them */
    }
    buf_free(&b);
}

static void man_page(void **state)
{
    (void)state;
    struct buf b;
    struct err e;
    buf_init(&b, 1 << 20);
    assert_int_equal(describe_man(&desc, options, &b, &e), OK);
    const char *text = buf_str(&b);
    assert_int_equal(strncmp(text, ".TH \"FACET-turner\" 1", 20), 0);
    assert_non_null(strstr(text, "facet\\-turner \\- Turns things: all of "
                                 "them\n"));
    assert_non_null(strstr(text, ".TP\n\\fB\\-\\-note str\\fR\n\\&.Starts"));
    assert_non_null(strstr(text, "With \\e and 'quotes'\nand"));
    assert_non_null(strstr(text, "Range: \\-90..90. Default: 0.1."));
    buf_free(&b);
}

static void wrapping(void **state)
{
    (void)state;
    struct buf b;
    struct err e;
    buf_init(&b, 1000);
    assert_int_equal(describe_wrap(&b, "aa bb  cc\ndd 123456789", 2, 8, 0, &e),
                     OK);
    assert_string_equal(buf_str(&b), "  aa bb\n  cc\n  dd\n  123456789\n");
    b.len = 0;
    assert_int_equal(describe_wrap(&b, "aa bb", 4, 80, 3, &e), OK);
    assert_string_equal(buf_str(&b), "aa bb\n");
    buf_free(&b);
}

static void broken(void **state)
{
    (void)state;
    static const struct stage_port twice[] = {
        {"out", "", ""}, {"out", "", ""}, {0}};
    static const struct stage_port bad[] = {{"in", "frame u8[", ""}, {0}};
    static const struct stage_port taken[] = {{"failed", "", ""}, {0}};
    static const struct stage_param far[] = {
        {"a", PARAM_INT, 4096, "1", 0, 0, NULL, NULL, "h"}, {0}};
    struct stage_desc d[9];
    static const char *const want[9] = {
        "stage name 'Turner' is not lower-case words joined by '-'",
        "stage 'turner': no help",
        "stage 'turner': a transform needs transform()",
        "stage 'turner': output port 'out' occurs twice",
        ("stage 'turner': port 'in': field 'frame': type 'u8[': the shape "
         "does not end with ']'"),
        "stage 'turner': output port name 'failed' is not allowed",
        "stage 'turner': parameter 'a' lies outside the context",
        "stage 'turner': this kind has no output ports",
        "stage 'turner': no input ports",
    };
    for (size_t i = 0; i < 9; i++)
        d[i] = desc;
    d[0].name = "Turner";
    d[1].help = "";
    d[2].transform = NULL;
    d[3].out = twice;
    d[4].in = bad;
    d[5].out = taken;
    d[6].params = far;
    d[7].kind = STAGE_SINK;
    d[8].in = NULL;
    for (size_t i = 0; i < 9; i++) {
        struct err e = {0};
        struct buf b;
        buf_init(&b, 1 << 20);
        assert_int_equal(describe_yaml(&d[i], &b, &e), ERR_ARG);
        assert_string_equal(e.text, want[i]);
        assert_int_equal(b.len, 0);
        buf_free(&b);
    }
}

static void find_stages(void **state)
{
    (void)state;
    char dir[] = "/tmp/facet-dirs-XXXXXX";
    struct err e = {0};
    struct stage_list l;
    char *path;
    assert_non_null(mkdtemp(dir));
    assert_int_equal(chdir(dir), 0);
    assert_int_equal(mkdir("a", 0755) | mkdir("b", 0755), 0);
    static const char *const files[] = {"a/one", "a/two", "b/two", "b/plain"};
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(file_write_atomic(files[i], "#!/bin/sh\n", 10, &e),
                         OK);
        assert_int_equal(chmod(files[i], i == 3 ? 0644 : 0755), 0);
    }
    assert_int_equal(setenv("FACET_STAGES", "b:nowhere::a:b", 1), 0);
    char **dirs = stage_dirs(&e);
    assert_non_null(dirs);
    assert_string_equal(dirs[0], "b");
    assert_string_equal(dirs[1], "a");
    const char *const *d = (const char *const *)dirs;
    assert_int_equal(stage_find(d, "two", &path, &e), OK);
    assert_string_equal(path, "b/two");
    mem_free(path);
    assert_int_equal(stage_find(d, "a/two", &path, &e), OK);
    assert_string_equal(path, "a/two");
    mem_free(path);
    assert_int_equal(stage_find(d, "onee", &path, &e), ERR_NOTFOUND);
    assert_string_equal(e.text, "no stage 'onee' (did you mean 'one'?)");
    assert_int_equal(stage_find(d, "b/plain", &path, &e), ERR_NOTFOUND);
    assert_string_equal(e.text, "cannot run 'b/plain': not an executable "
                                "file (chmod +x?)");
    assert_int_equal(stage_find(d, "plain", &path, &e), ERR_NOTFOUND);
    assert_string_equal(e.text, "cannot run 'b/plain': Permission denied");
    assert_int_equal(stage_find(d, "..", &path, &e), ERR_NOTFOUND);
    assert_int_equal(stage_list(d, &l, &e), OK);
    assert_true(l.n >= 2);
    size_t seen = 0;
    for (size_t i = 0; i < l.n; i++) {
        if (strcmp(l.names[i], "two") == 0)
            assert_string_equal(l.paths[i], "b/two");
        seen += strcmp(l.names[i], "two") == 0;
        assert_string_not_equal(l.names[i], "plain");
    }
    assert_int_equal(seen, 1);
    stage_list_free(&l);
    stage_dirs_free(&dirs);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(unlink(files[i]), 0);
    assert_int_equal(rmdir("a") | rmdir("b"), 0);
    assert_int_equal(chdir("/") | rmdir(dir), 0);
}

static void no_memory(void **state)
{
    (void)state;
    bool failed = true;
    for (uint64_t nth = 1; failed; nth++) {
        int64_t before = mem_live();
        struct stage_info *info = NULL;
        struct buf b;
        struct err e = {0};
        buf_init(&b, 1 << 20);
        mem_fail_nth(nth);
        enum err_code rc = describe_yaml(&desc, &b, &e);
        if (rc == OK)
            rc = stage_info_parse(buf_str(&b), b.len, "x", &info, &e);
        if (rc == OK)
            rc = describe_help(&desc, options, &b, &e);
        if (rc == OK)
            rc = describe_man(&desc, options, &b, &e);
        failed = mem_fail_hit();
        mem_fail_nth(0);
        assert_int_equal(rc, failed ? ERR_NOMEM : OK);
        stage_info_free(&info);
        buf_free(&b);
        assert_int_equal(mem_live(), before);
        assert_true(nth < 2000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip), cmocka_unit_test(help_text),
        cmocka_unit_test(man_page),   cmocka_unit_test(wrapping),
        cmocka_unit_test(broken),     cmocka_unit_test(find_stages),
        cmocka_unit_test(no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
