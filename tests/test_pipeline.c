/* Pipeline files: what a good one becomes, and what exactly is said of broken
 * ones. The stages are small shell scripts that answer --describe. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/flow/pipeline.h"

static char dir[] = "/tmp/facet-pipeline-XXXXXX";

static const struct {
    const char *name, *describe;
} scripts[] = {
    {"clips", "name: clips\nkind: source\nruntime: facet\n"
              "out: \"path str, name str, split str?\"\n"
              "params:\n"
              "  - {name: root, type: path, help: where}\n"},
    {"frames",
     "name: frames\nkind: transform\nruntime: facet\n"
     "in: \"path str\"\nout: \"frame u8[H,W,3], index i64\"\n"
     "params:\n"
     "  - {name: count, type: int, default: 5, min: 1, max: 100}\n"
     "  - {name: mode, type: enum, choices: \"even|random\", default: even}\n"
     "  - {name: at, type: floats, default: \"\"}\n"},
    {"points", "name: points\nkind: transform\n"
               "in: \"frame u8[H,W,3]\"\nout: \"landmarks f32[68,3]\"\n"},
    {"square", "name: square\nkind: transform\n"
               "in: \"frame u8[A,B,3]\"\nout: \"frame u8[128,96,3]\"\n"},
    {"needs-square", "name: needs-square\nkind: transform\n"
                     "in: \"frame u8[A,A,3]\"\nout: \"ok bool\"\n"},
    {"grey", "name: grey\nkind: transform\n"
             "in: \"frame u8[H,W,3]\"\nout: \"frame u8[H,W,1]\"\n"},
    {"splitter", "name: splitter\nkind: transform\nin: \"path str\"\n"
                 "out: [{name: left, fields: \"\"}, {name: right}]\n"},
    {"joiner", "name: joiner\nkind: transform\n"
               "in:\n  - {name: a, fields: \"path str\"}\n"
               "  - {name: b, fields: \"frame u8[...]\"}\n"
               "out: \"joined bool\"\n"},
    {"tape", "name: tape\nkind: source\nout: \"key str, ...\"\n"},
    {"store", "name: store\nkind: sink\nin: \"frame u8[H,W,3], name str\"\n"
              "params: [{name: root, type: path, default: out}]\n"},
    {"trash", "name: trash\nkind: sink\nin: \"error_text str\"\n"
              "params:\n  - {name: at, type: floats, default: \"\"}\n  - "
              "{name: all, type: bool, default: no}\n"},
    {"any", "name: any\nkind: sink\nin: \"split str\"\n"},
    {"garbage", "name: garbage\nkind: transfrom\nin: \"a str\"\n"},
    {"exits", NULL},
};

static int setup(void **state)
{
    struct err e;
    (void)state;
    if (!mkdtemp(dir) || chdir(dir) != 0 || mkdir("s", 0755) != 0)
        return -1;
    for (size_t i = 0; i < sizeof scripts / sizeof scripts[0]; i++) {
        const char *d = scripts[i].describe;
        char *text =
            d ? mem_printf("#!/bin/sh\ncat <<'END'\n%sEND\n", d)
              : mem_printf("#!/bin/sh\necho trouble ahead >&2\nexit 4\n");
        char *path = path_join("s", scripts[i].name);
        if (!text || !path ||
            file_write_atomic(path, text, strlen(text), &e) != OK ||
            chmod(path, 0755) != 0)
            return -1;
        mem_free(text);
        mem_free(path);
    }
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof scripts / sizeof scripts[0]; i++) {
        char *path = path_join("s", scripts[i].name);
        if (path)
            (void)unlink(path);
        mem_free(path);
    }
    (void)unlink("p.yaml");
    (void)rmdir("s");
    return chdir("/") == 0 && rmdir(dir) == 0 ? 0 : -1;
}

static enum err_code load(const char *yaml, const char *const *sets,
                          struct pipeline **p, struct buf *report,
                          struct err *e)
{
    static const char *const dirs[] = {"s", NULL};
    struct pipe_options o = {.stage_dirs = dirs, .sets = sets};
    buf_init(report, 1 << 20);
    assert_int_equal(file_write_atomic("p.yaml", yaml, strlen(yaml), e), OK);
    return pipeline_load("p.yaml", &o, p, report, e);
}

#define GOOD                                                                   \
    "version: 1\n"                                                             \
    "help: \"Frames of ${videos}.\"\n"                                         \
    "vars: {videos: {help: a folder}, out: o, frames: 5, both: "               \
    "\"${out}/${frames}\"}\n"                                                  \
    "stages:\n"                                                                \
    "  cat: {run: clips, with: {root: \"${videos}\"}}\n"                       \
    "  fr:\n"                                                                  \
    "    run: frames\n"                                                        \
    "    from: cat\n"                                                          \
    "    with: {count: \"${frames}\", at: [1, 2.5, \"$${x}$\"]}\n"             \
    "    replicas: auto\n"                                                     \
    "    threads: 2\n"                                                         \
    "    retries: 1\n"                                                         \
    "  store: {run: s/store, from: [fr], with: {root: \"${both}\"}}\n"         \
    "  bad: {run: \"sh s/trash 'a b'\", from: [cat.failed, fr.failed], with: " \
    "{at: \"0.1:3,7.25\", all: on}}\n"

static void good(void **state)
{
    (void)state;
    static const char *const sets[] = {"videos=a dir", "frames=7", "fr.at=1:3",
                                       NULL};
    struct pipeline *p;
    struct buf report;
    struct err e = {0};
    enum err_code rc = load(GOOD, sets, &p, &report, &e);
    assert_string_equal(buf_str(&report), "");
    assert_int_equal(rc, OK);
    assert_string_equal(p->help, "Frames of a dir.");
    assert_string_equal(p->dead, "o/dead");
    assert_int_equal(p->n_vars, 4);
    assert_string_equal(p->vars[0].help, "a folder");
    assert_true(p->vars[0].required);
    assert_string_equal(p->vars[3].value, "o/7");
    assert_int_equal(p->n_stages, 4);
    const struct pipe_stage *fr = &p->stages[1];
    assert_string_equal(fr->argv[0], "s/frames");
    assert_true(fr->ours);
    assert_int_equal(fr->replicas, 0);
    assert_int_equal(fr->threads, 2);
    assert_int_equal(fr->retries, 1);
    assert_int_equal(fr->n_params, 2);
    assert_string_equal(fr->params[0].value, "7");
    assert_int_equal(fr->params[0].line, 9);
    assert_int_equal(fr->params[0].column, 19);
    assert_string_equal(fr->params[1].value, "1:3");
    assert_int_equal(fr->params[1].line, 0);
    assert_int_equal(p->stages[0].replicas, 1);
    assert_false(p->stages[2].ours);
    assert_int_equal(p->stages[3].argc, 3);
    assert_string_equal(p->stages[3].argv[0], "sh");
    assert_string_equal(p->stages[3].argv[2], "a b");
    assert_null(p->stages[3].argv[3]);
    /* programs in other languages get plain values */
    assert_string_equal(p->stages[3].params[0].value, "0.1,1.1,2.1,7.25");
    assert_string_equal(p->stages[3].params[1].value, "true");
    assert_int_equal(p->n_edges, 4);
    assert_int_equal(p->edges[1].from, 1);
    assert_int_equal(p->edges[1].to, 2);
    assert_string_equal(p->edges[1].from_port, "out");
    assert_string_equal(p->edges[1].to_port, "in");
    assert_string_equal(p->edges[2].from_port, "failed");
    struct buf dot;
    buf_init(&dot, 1 << 20);
    assert_int_equal(pipeline_dot(p, &dot, &e), OK);
    assert_non_null(strstr(buf_str(&dot), "s1 -> s2 [label=\"frame u8[H,W,3]"
                                          "\\lname str\\l\"];"));
    buf_free(&dot);
    pipeline_free(&p);
    assert_null(p);
    buf_free(&report);
}

#define HEAD "version: 1\nstages:\n  cat: {run: clips, with: {root: v}}\n"
#define FR "  fr: {run: frames, from: cat}\n"
#define STORE "  st: {run: store, from: fr}\n"

static const struct broken {
    const char *yaml, *set, *want; /* the whole report */
} broken[] = {
    {"- a\n", NULL,
     "p.yaml:1:1: error: a pipeline must be a map, not a list\n"},
    {"version: 2\nstages: {}\n", NULL,
     "p.yaml:1:10: error: version must be 1\n"
     "p.yaml:2:9: error: no stages\n"},
    {"stage: 3\n", NULL,
     "p.yaml:1:1: error: unknown key 'stage' in the pipeline (did you mean "
     "'stages'?)\n"
     "p.yaml:1:1: error: no 'version: 1'\n"
     "p.yaml:1:1: error: no stages\n"},
    {HEAD "  cat: {run: clips}\n", NULL,
     "p.yaml:4:3: error: key 'cat' occurs twice (first in line 3)\n"},
    {HEAD FR "  st: {run: store, form: fr}\n", NULL,
     "p.yaml:5:3: error: stage 'st' is a sink: it needs a 'from'\n"
     "p.yaml:5:20: error: unknown key 'form' in a stage (did you mean "
     "'from'?)\n"},
    {HEAD FR "  2nd: {run: frames, from: cat}\n" STORE, NULL,
     "p.yaml:5:3: error: '2nd' is not a stage name (a small letter, then "
     "a-z0-9_-, 47 at most)\n"},
    {HEAD "  fr: {run: farmes, from: cat}\n" STORE, NULL,
     "p.yaml:4:13: error: run: no stage 'farmes' (did you mean 'frames'?)\n"},
    {HEAD "  fr: {run: s/none, from: cat}\n" STORE, NULL,
     "p.yaml:4:13: error: run: cannot run 's/none': No such file or "
     "directory\n"},
    {HEAD "  fr: {run: \"xyzzy -a b\", from: cat}\n" STORE, NULL,
     "p.yaml:4:13: error: run: no program 'xyzzy' among the stages or on "
     "PATH\n"},
    {HEAD "  fr: {run: \"sh 'a\", from: cat}\n" STORE, NULL,
     "p.yaml:4:13: error: run: a quote is not closed\n"},
    {HEAD "  fr: {run: [a], from: cat}\n" STORE, NULL,
     "p.yaml:4:13: error: run must be a text, not a list\n"},
    {HEAD "  fr: {from: cat}\n" STORE, NULL,
     "p.yaml:4:3: error: stage 'fr' has no 'run'\n"},
    {HEAD "  fr: {run: exits, from: cat}\n" STORE, NULL,
     "p.yaml:4:13: error: stage 'fr': 's/exits --describe' ended with status "
     "4: trouble ahead\n"},
    {HEAD "  fr: {run: garbage, from: cat}\n" STORE, NULL,
     "p.yaml:4:13: error: stage 'fr': s/garbage --describe:2:7: error: no "
     "kind 'transfrom' (did you mean 'transform'?)\n"},
    {HEAD "  fr: 5\n" STORE, NULL,
     "p.yaml:4:7: error: stage 'fr' must be a map, not a text\n"},
    {HEAD "  fr: {run: frames, from: cta}\n" STORE, NULL,
     "p.yaml:4:27: error: no stage 'cta' (did you mean 'cat'?)\n"},
    {HEAD "  fr: {run: frames, from: cat.outt}\n" STORE, NULL,
     "p.yaml:4:27: error: stage 'cat' has no output port 'outt' (did you mean "
     "'out'?) (it has out)\n"},
    {HEAD FR STORE "  x: {run: frames, from: [cat, st]}\n", NULL,
     "p.yaml:6:32: error: stage 'st' is a sink: nothing comes out of it\n"},
    {HEAD "  fr: {run: frames, from: [cat, cat.out]}\n" STORE, NULL,
     "p.yaml:4:33: error: 'cat.out' feeds 'fr.in' twice\n"},
    {HEAD "  fr: {run: frames, from: {inn: cat}}\n" STORE, NULL,
     "p.yaml:4:28: error: stage 'fr' has no input port 'inn' (did you mean "
     "'in'?) (it has in)\n"},
    {HEAD FR "  j: {run: joiner, from: fr}\n" STORE, NULL,
     "p.yaml:5:26: error: stage 'j' has several input ports (a, b): 'from' "
     "must be a map from port to origin\n"},
    {HEAD FR "  j: {run: joiner, from: {a: cat}}\n" STORE, NULL,
     "p.yaml:5:26: error: input port 'b' of stage 'j' is not fed\n"},
    {HEAD "  sp: {run: splitter, from: cat}\n"
          "  fr: {run: frames, from: sp}\n" STORE,
     NULL,
     "p.yaml:5:27: error: stage 'sp' has several output ports: say which of "
     "left, right, as in 'sp.left'\n"},
    {"version: 1\nstages:\n  cat: {run: clips, from: st, with: {root: v}}\n" FR
         STORE,
     NULL, "p.yaml:3:27: error: stage 'cat' is a source: it takes no 'from'\n"},
    {HEAD FR "  a: {run: frames, from: [fr, c]}\n"
             "  b: {run: frames, from: a}\n"
             "  c: {run: frames, from: b}\n"
             "  st: {run: store, from: c}\n",
     NULL, "p.yaml:6:26: error: a cycle: a -> b -> c -> a\n"},
    {HEAD "  a: {run: frames, from: a}\n  st: {run: store, from: a}\n", NULL,
     "p.yaml:4:26: error: a cycle: a -> a\n"},
    {HEAD FR, NULL,
     "p.yaml:3:3: error: no sink: nothing keeps what this pipeline makes\n"
     "p.yaml:4:7: warning: nothing takes output 'out' of stage 'fr': its items "
     "are dropped\n"},
    /* parameters */
    {"version: 1\nstages:\n  cat: {run: clips}\n" FR STORE, NULL,
     "p.yaml:3:3: error: stage 'cat' needs the parameter 'root'\n"},
    {HEAD "  fr: {run: frames, from: cat, with: {cuont: 3, mode: evn}}\n" STORE,
     NULL,
     "p.yaml:4:39: error: stage 'fr' has no parameter 'cuont' (did you mean "
     "'count'?)\n"
     "p.yaml:4:55: error: stage 'fr', parameter 'mode': 'evn' is not one of "
     "even, random (did you mean 'even'?)\n"},
    {HEAD "  fr:\n    run: frames\n    from: cat\n    with:\n"
          "      count: 101\n" STORE,
     NULL,
     "p.yaml:8:14: error: stage 'fr', parameter 'count': 101 is outside "
     "1..100\n"},
    {HEAD "  fr: {run: frames, from: cat, with: {count: }}\n" STORE, NULL,
     "p.yaml:4:46: error: count: no value (leave it out, or write \"\" for "
     "an empty text)\n"},
    {HEAD "  fr: {run: frames, from: cat, with: {at: [1, [2]]}}\n" STORE, NULL,
     "p.yaml:4:47: error: at must be a text, not a list\n"},
    {HEAD "  fr: {run: frames, from: cat, with: 3}\n" STORE, NULL,
     "p.yaml:4:38: error: with must be a map, not a text\n"},
    {HEAD "  fr: {run: frames, from: cat, replicas: many, threads: 0}\n" STORE,
     NULL,
     "p.yaml:4:42: error: replicas: 'many' is not a whole number from 1 to "
     "256 or auto\n"
     "p.yaml:4:57: error: threads: '0' is not a whole number from 1 to "
     "1024\n"},
    /* variables */
    {HEAD "  fr: {run: frames, from: cat, with: {count: \"${cuont}\"}}\n" STORE
          "vars: {count: 3}\n",
     NULL, "p.yaml:4:46: error: no variable 'cuont' (did you mean 'count'?)\n"},
    {HEAD "  fr: {run: frames, from: cat, with: {count: \"${x\"}}\n" STORE,
     NULL, "p.yaml:4:46: error: '${' without '}' (write '$${' for '${')\n"},
    {HEAD FR STORE "vars:\n  videos:\n", NULL,
     "p.yaml:7:3: error: variable 'videos' must be set: --set videos=...\n"},
    {HEAD FR STORE "vars:\n  videos: {help: a folder}\n", NULL,
     "p.yaml:7:3: error: variable 'videos' must be set: --set videos=... (a "
     "folder)\n"},
    {HEAD FR STORE "vars: {a: \"${b}\", b: 1}\n", NULL,
     "p.yaml:6:11: error: no variable 'b'\n"},
    {HEAD FR STORE "vars: {A: 1, b: {defualt: 1}}\n", "b=2",
     "p.yaml:6:8: error: 'A' is not a variable name (a small letter, then "
     "a-z0-9_-, 47 at most)\n"
     "p.yaml:6:18: error: unknown key 'defualt' in a variable (did you mean "
     "'default'?)\n"},
    {HEAD FR STORE "vars: {frames: 1}\n", "frmes=3",
     "--set frmes=3: error: no variable 'frmes' (did you mean 'frames'?)\n"},
    {HEAD FR STORE, "frames",
     "--set frames: error: want NAME=VALUE or "
     "STAGE.PARAMETER=VALUE\n"},
    {HEAD FR STORE, "rf.count=3",
     "--set rf.count=3: error: no stage 'rf' (did you mean 'fr'?)\n"},
    {HEAD FR STORE, "fr.coun=3",
     "--set fr.coun=3: error: stage 'fr' has no parameter 'coun' (did you "
     "mean 'count'?)\n"},
    {HEAD FR STORE, "fr.count=0",
     "--set fr.count=0: error: stage 'fr', parameter 'count': 0 is outside "
     "1..100\n"},
    /* fields */
    {HEAD "  st: {run: store, from: cat}\n", NULL,
     "p.yaml:4:26: error: stage 'st' needs the field 'frame' (u8[H,W,3]), "
     "which 'cat' does not give; it gives path, name, split (did you mean "
     "'name'?)\n"},
    {HEAD FR "  g: {run: grey, from: fr}\n  st: {run: store, from: g}\n", NULL,
     "p.yaml:6:26: error: stage 'st' needs the field 'frame' as u8[H,W,3], but "
     "from 'g' it comes as u8[*,*,1]\n"},
    {HEAD FR "  q: {run: square, from: fr}\n"
             "  n: {run: needs-square, from: q}\n"
             "  st: {run: store, from: n}\n",
     NULL,
     "p.yaml:6:32: error: stage 'n' needs the field 'frame' as u8[A,A,3], "
     "but from 'q' it comes as u8[128,96,3]\n"},
    {HEAD FR "  st: {run: store, from: [fr, cat]}\n", NULL,
     "p.yaml:5:31: error: stage 'st' needs the field 'frame' (u8[H,W,3]), "
     "which 'cat' does not give; it gives path, name, split (did you mean "
     "'name'?)\n"},
    {HEAD FR "  two: {run: splitter, from: [cat, fr]}\n"
             "  st: {run: store, from: [two.left, two.right]}\n",
     NULL,
     "p.yaml:6:27: error: stage 'st' needs the field 'frame' (u8[H,W,3]), "
     "which does not come on every way: 'cat' does not give it\n"
     "p.yaml:6:37: error: stage 'st' needs the field 'frame' (u8[H,W,3]), "
     "which does not come on every way: 'cat' does not give it\n"},
    {HEAD FR STORE "  t: {run: trash, from: fr}\n", NULL,
     "p.yaml:6:25: error: stage 't' needs the field 'error_text' (str), which "
     "'fr' does not give; it gives path, name, split, frame, index\n"},
};

static void broken_files(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        const char *sets[] = {broken[i].set, NULL};
        int64_t before = mem_live();
        struct pipeline *p;
        struct buf report;
        struct err e = {0};
        enum err_code rc = load(broken[i].yaml, sets, &p, &report, &e);
        assert_string_equal(buf_str(&report), broken[i].want);
        assert_int_equal(rc, ERR_DATA);
        assert_null(p);
        buf_free(&report);
        assert_int_equal(mem_live(), before);
    }
}

static void warnings(void **state)
{
    (void)state;
    static const struct {
        const char *yaml, *want;
    } rows[] = {
        {HEAD FR STORE "vars: {x: 1, out: there}\n",
         "p.yaml:6:8: warning: variable 'x' is never used\n"},
        {HEAD "  a: {run: any, from: cat}\n",
         "p.yaml:4:23: warning: stage 'a' needs the field 'split', which may "
         "be missing: such items will fail\n"},
        /* a source that cannot know its fields is given the benefit */
        {"version: 1\nstages:\n  t: {run: tape}\n"
         "  st: {run: store, from: t}\n",
         ""},
        {HEAD FR "  j: {run: joiner, from: {a: [cat, fr], b: fr}}\n"
                 "  st: {run: trash, from: j.failed}\n",
         "p.yaml:5:6: warning: nothing takes output 'out' of stage 'j': its "
         "items are dropped\n"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct pipeline *p;
        struct buf report;
        struct err e = {0};
        enum err_code rc = load(rows[i].yaml, NULL, &p, &report, &e);
        assert_string_equal(buf_str(&report), rows[i].want);
        assert_int_equal(rc, OK);
        pipeline_free(&p);
        buf_free(&report);
    }
}

/* Texts that double over and over stay within their limit. */
static void growth(void **state)
{
    (void)state;
    struct buf yaml, report;
    struct pipeline *p;
    struct err e = {0};
    buf_init(&yaml, 1 << 20);
    assert_int_equal(buf_puts(&yaml, "version: 1\nvars:\n  v0: xxxxxxxx\n", &e),
                     OK);
    for (int i = 1; i < 60; i++)
        assert_int_equal(
            buf_printf(&yaml, &e, "  v%d: \"${v%d}${v%d}\"\n", i, i - 1, i - 1),
            OK);
    assert_int_equal(buf_puts(&yaml, "stages: {}\n", &e), OK);
    assert_int_equal(load(buf_str(&yaml), NULL, &p, &report, &e), ERR_DATA);
    assert_non_null(strstr(buf_str(&report), "p.yaml:21:8: error: the text "
                                             "with its variables is too "
                                             "long\n"));
    buf_free(&yaml);
    buf_free(&report);
}

static void descriptions(void **state)
{
    (void)state;
    static const struct {
        const char *yaml, *want; /* NULL: fine */
    } rows[] = {
        {"name: a\nkind: sink\nin: \"x str\"\nparams:\n  - {name: p, type: "
         "int, default: 3, min: 1}\n",
         NULL},
        {"name: a\nkind: sink\nin:\n  - name: in\n    fields: [{name: x, type: "
         "\"u8[H,W]\"}, {name: y, type: str, optional: yes}]\n",
         NULL},
        {"name: a\nkind: sink\nin: [{name: in, fields: [{name: x, tpye: "
         "str}]}]\n",
         "a:3:36: error: unknown key 'tpye' in a field (did you mean 'type'?)"},
        {"name: a\nkind: sink\nin: [{name: in, fields: {x: str}}]\n",
         "a:3:25: error: 'fields' must be a text such as \"name str\", or a "
         "list of maps"},
        {"kind: sink\nin: \"\"\n", "a:1:1: error: no 'name'"},
        {"name: a\nkind: sink\n", "a:1:1: error: a sink needs input ports"},
        {"name: a\nkind: source\nin: \"x str\"\nout: \"\"\n",
         "a:1:1: error: a source has no input ports"},
        {"name: a\nkind: sink\nin: \"x string[\"\n",
         "a:3:5: error: port 'in': field 'x': type 'string[': the shape does "
         "not end with ']'"},
        {"name: a\nkind: sink\nin: \"\"\nparams:\n  - {name: p, type: integer}"
         "\n",
         "a:5:21: error: no parameter type 'integer' (bool int float str path "
         "enum floats folder file model)"},
        {"name: a\nkind: sink\nin: \"\"\nparams:\n  - {name: p, type: int, "
         "default: 9, max: 5}\n",
         "a:5:5: error: parameter 'p': default: 9 is not <= 5"},
        {"name: a\nkind: sink\nin: \"\"\nbatch: 0\n",
         "a:4:8: error: 'batch' must be a whole number from 1 to 65536"},
        {"name: a\nkind: sink\nin: \"\"\nparms: []\n",
         "a:4:1: error: unknown key 'parms' in a stage's description (did you "
         "mean 'params'?)"},
        {"name: a\nkind: sink\nin: [{name: x}, {name: x}]\n",
         "a:3:17: error: port 'x' occurs twice"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct stage_info *info;
        struct err e = {0};
        enum err_code rc = stage_info_parse(rows[i].yaml, strlen(rows[i].yaml),
                                            "a", &info, &e);
        assert_string_equal(e.text, rows[i].want ? rows[i].want : "");
        assert_int_equal(rc, rows[i].want ? ERR_DATA : OK);
        stage_info_free(&info);
    }
}

static void commands(void **state)
{
    (void)state;
    static const struct {
        const char *script, *want;
    } rows[] = {
        {"kill -9 $$", "'sh --describe' was ended by signal 9"},
        {"head -c 2000000 /dev/zero",
         "'sh --describe' wrote more than 1 MiB (it prints its description, "
         "and nothing else)"},
        {"exec >&- 2>&-; echo x >&2", "'sh --describe' ended with status 2"},
        {"printf 'name: [' ",
         "sh --describe:2:1: error: did not find expected node content (while "
         "parsing a flow node at line 2)"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char sh[] = "sh", c[] = "-c", script[100];
        (void)snprintf(script, sizeof script, "%s", rows[i].script);
        char *argv[] = {sh, c, script, NULL};
        struct stage_info *info;
        struct err e = {0};
        enum err_code rc = stage_info_from_command(argv, &info, &e);
        assert_string_equal(e.text, rows[i].want);
        assert_int_equal(rc, ERR_DATA);
        assert_null(info);
    }
    char none[] = "/nowhere/stage";
    char *argv[] = {none, NULL};
    struct stage_info *info;
    struct err e = {0};
    assert_int_equal(stage_info_from_command(argv, &info, &e), ERR_NOTFOUND);
    assert_string_equal(
        e.text, "cannot run '/nowhere/stage': No such file or directory");
}

static void no_memory(void **state)
{
    (void)state;
    static const char *const sets[] = {"videos=a", "fr.at=1:3", NULL};
    bool failed = true;
    uint64_t step = 1;
    for (uint64_t nth = 1; failed; nth += step) {
        struct pipeline *p = NULL;
        struct buf report;
        struct err e = {0};
        static const char *const dirs[] = {"s", NULL};
        struct pipe_options o = {.stage_dirs = dirs, .sets = sets};
        assert_int_equal(file_write_atomic("p.yaml", GOOD, strlen(GOOD), &e),
                         OK);
        int64_t before = mem_live();
        buf_init(&report, 1 << 20);
        mem_fail_nth(nth);
        enum err_code rc = pipeline_load("p.yaml", &o, &p, &report, &e);
        failed = mem_fail_hit();
        mem_fail_nth(0);
        if (rc != (failed ? ERR_NOMEM : OK))
            print_error("allocation %d: %s %s\n", (int)nth, e.text,
                        buf_str(&report));
        assert_int_equal(rc, failed ? ERR_NOMEM : OK);
        pipeline_free(&p);
        buf_free(&report);
        assert_int_equal(mem_live(), before);
        assert_true(nth < 5000);
        step = nth < 60 ? 1 : 7; /* each round runs four programs */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good),         cmocka_unit_test(broken_files),
        cmocka_unit_test(warnings),     cmocka_unit_test(growth),
        cmocka_unit_test(descriptions), cmocka_unit_test(commands),
        cmocka_unit_test(no_memory),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
