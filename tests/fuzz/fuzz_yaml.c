/* Fuzzes what reads YAML: stage descriptions and pipeline files. No program is
 * ever started: the part of the pipeline reader that asks stages for their
 * descriptions (lib/flow/info_run.c) is replaced here, and the only stages
 * there are are three of our own words. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/file.h"
#include "lib/flow/pipeline.h"
#include "tests/fuzz/fuzz.h"

static const struct {
    const char *name, *yaml;
} stages[] = {
    {"source", "name: source\nhelp: Makes.\nkind: source\nruntime: facet\n"
               "batch: 1\nout:\n  - name: out\n    help: it\n    fields:\n"
               "      - {name: frame, type: \"u8[H,W,3]\"}\n"
               "params:\n  - {name: root, type: path}\n"},
    {"work", "name: work\nhelp: Works.\nkind: transform\nruntime: facet\n"
             "batch: 4\nin:\n  - name: in\n    help: it\n    fields:\n"
             "      - {name: frame, type: \"u8[H,W,3]\"}\n"
             "out:\n  - name: out\n    help: it\n    fields:\n"
             "      - {name: points, type: \"f32[68,3]\"}\n"
             "params:\n  - {name: yaw, type: float, default: \"0\", min: -90, "
             "max: 90, unit: deg}\n"},
    {"sink", "name: sink\nhelp: Keeps.\nkind: sink\nruntime: facet\n"
             "batch: 1\nin:\n  - name: in\n    help: it\n    fields:\n"
             "      - {name: points, type: \"f32[N,3]\", optional: true}\n"},
};
#define N_STAGES (sizeof stages / sizeof *stages)

static char dir[] = "/tmp/facet-fuzz-XXXXXX";

static void remove_dir(void)
{
    char path[64];
    for (size_t i = 0; i < N_STAGES; i++) {
        snprintf(path, sizeof path, "%s/%s", dir, stages[i].name);
        (void)unlink(path);
    }
    (void)rmdir(dir);
}

/* A folder with empty programs of the stages' names. */
static void make_dir(void)
{
    char path[64];
    static int made;
    if (made)
        return;
    made = 1;
    fuzz_check(mkdtemp(dir) != NULL);
    fuzz_check(atexit(remove_dir) == 0);
    for (size_t i = 0; i < N_STAGES; i++) {
        snprintf(path, sizeof path, "%s/%s", dir, stages[i].name);
        int fd = open(path, O_WRONLY | O_CREAT, 0700);
        fuzz_check(fd >= 0);
        (void)close(fd);
    }
}

/* In the place of info_run.c. */
enum err_code stage_info_from_command(char *const *argv,
                                      struct stage_info **out, struct err *e)
{
    *out = NULL;
    for (size_t i = 0; i < N_STAGES; i++)
        if (strcmp(path_base(argv[0]), stages[i].name) == 0)
            return stage_info_parse(stages[i].yaml, strlen(stages[i].yaml),
                                    stages[i].name, out, e);
    return err_set(e, ERR_UNSUPPORTED, "not one of the three stages");
}

void stage_info_jobs(struct info_job *jobs, size_t n)
{
    for (size_t i = 0; i < n; i++)
        jobs[i].rc =
            stage_info_from_command(jobs[i].argv, &jobs[i].info, &jobs[i].e);
}

static void load(const char *path)
{
    const char *const dirs[] = {dir, NULL};
    const char *const sets[] = {"x=1", NULL};
    const struct pipe_options options[2] = {{.stage_dirs = dirs},
                                            {.stage_dirs = dirs, .sets = sets}};
    for (size_t i = 0; i < 2; i++) {
        struct pipeline *p = NULL;
        struct buf report, dot;
        struct err e = {0};
        buf_init(&report, 1 << 20);
        buf_init(&dot, 1 << 24);
        enum err_code code = pipeline_load(path, &options[i], &p, &report, &e);
        fuzz_check((code == OK) == (p != NULL));
        fuzz_check(code == OK || report.len || e.text[0]);
        if (code == OK)
            fuzz_check(pipeline_dot(p, &dot, &e) == OK);
        pipeline_free(&p);
        buf_free(&dot);
        buf_free(&report);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct stage_info *info = NULL;
    struct err e = {0};
    char path[64];
    make_dir();
    enum err_code code =
        stage_info_parse((const char *)data, n, "input", &info, &e);
    fuzz_check((code == OK) == (info != NULL));
    stage_info_free(&info);
    int fd = memfd_create("pipeline.yaml", MFD_CLOEXEC);
    if (fd < 0)
        return 0;
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (n == 0 || write(fd, data, n) == (ssize_t)n)
        load(path);
    (void)close(fd);
    return 0;
}
