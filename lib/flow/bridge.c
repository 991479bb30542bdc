/* A stage whose transform is another process. */
#include "lib/flow/bridge.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/flow/control.h"
#include "lib/flow/launcher.h"
#include "lib/flow/link.h"
#include "lib/flow/outbox.h"
#include "lib/flow/pipeline.h"
#include "lib/flow/stage_run.h"

#define WAIT_MS 50
#define SECOND INT64_C(1000000000)
#define CONNECT_WITHIN_S 60
#define END_WITHIN_S 30 /* after "end" and its last message, to exit */
#define FIELDS_MAX 65536

extern char **environ;

/* The command line; stage functions have no other way to get at it. */
static char **command;

struct bridge {
    pid_t pid; /* 0: not running */
    int status;
    struct link_hub *hub;
    struct link *pair;
};

/* The command */

static enum err_code start_command(struct bridge *b, const char *endpoint,
                                   struct err *e)
{
    pid_t parent = getpid();
    char *env = mem_printf("%s", endpoint);
    if (!env || setenv("FACET_ENDPOINT", env, 1)) {
        mem_free(env);
        return err_set(e, ERR_NOMEM, "no memory to start '%s'", command[0]);
    }
    mem_free(env);
    b->pid = fork();
    if (b->pid < 0) {
        b->pid = 0;
        return err_errno(e, ERR_IO, errno, "cannot start '%s'", command[0]);
    }
    if (b->pid > 0)
        return OK;
    signal(SIGPIPE, SIG_DFL);
    if (!launcher_die_with(parent))
        _exit(127);
    execvp(command[0], command);
    log_error("cannot start '%s': %s", command[0], strerror(errno));
    _exit(127);
}

/* Has the command ended? Its status is in b->status then. */
static bool has_ended(struct bridge *b)
{
    if (b->pid && waitpid(b->pid, &b->status, WNOHANG) == b->pid)
        b->pid = 0;
    return b->pid == 0;
}

static enum err_code ended_error(const struct bridge *b, struct err *e)
{
    struct exit_info x = {.status = WEXITSTATUS(b->status)};
    char how[128];
    if (WIFSIGNALED(b->status))
        x = (struct exit_info){.signal = WTERMSIG(b->status)};
    return err_set(e, ERR_IO, "'%s' %s", command[0],
                   launcher_describe_exit(&x, how, sizeof how));
}

static enum err_code break_stage(struct stage *s, struct err *e)
{
    s->broken = true;
    s->fatal = *e;
    return e->code;
}

/* Messages */

/* A broken command is no item's fault: all of these break the stage. */
static enum err_code ask(struct stage *s, struct bridge *b, const char *kind,
                         struct item *it, struct err *e)
{
    enum err_code rc = OK;
    int64_t until = clock_ns() + CONNECT_WITHIN_S * SECOND;
    while (!rc && !link_writable(b->pair)) {
        if (has_ended(b))
            rc = ended_error(b, e);
        else if (clock_ns() > until)
            rc = err_set(e, ERR_IO, "'%s' does not connect to FACET_ENDPOINT",
                         command[0]);
        else if (stage_stopping(s))
            return err_set(e, ERR_CANCEL, "stopped");
        else
            usleep(1000);
    }
    snprintf(it->kind, sizeof it->kind, "%s", kind);
    if (!rc)
        rc = link_send(b->pair, NULL, it, e);
    return rc ? break_stage(s, e) : OK;
}

static enum err_code ask_plain(struct stage *s, struct bridge *b,
                               const char *kind, struct err *e)
{
    struct item *it = control_new(kind, 0, e);
    enum err_code rc = it ? ask(s, b, kind, it, e) : ERR_NOMEM;
    item_free(&it);
    return rc;
}

/* The next message of the command, however long it takes. *out = NULL if the
 * command has ended and nothing more is there. */
static enum err_code hear(struct stage *s, struct bridge *b, struct item **out,
                          struct err *e)
{
    for (;;) {
        bool ended = has_ended(b); /* before looking: then nothing follows */
        enum err_code rc = link_recv(b->pair, NULL, out, e);
        if (rc)
            return err_wrap(e, "from '%s'", command[0]);
        if (*out)
            return OK;
        if (ended) {
            /* What it sent may still be on its way through the socket. */
            rc = link_wait(b->hub, &b->pair, 1, NULL, 0, WAIT_MS, e);
            return rc ? rc : link_recv(b->pair, NULL, out, e);
        }
        if (stage_stopping(s))
            return err_set(e, ERR_CANCEL, "stopped");
        rc = link_wait(b->hub, &b->pair, 1, NULL, 0, WAIT_MS, e);
        if (rc)
            return rc;
    }
}

/* Emit an answer: its fields over those of the input it answers. */
static enum err_code emit_answer(struct stage *s, const struct item *in,
                                 const struct item *answer, struct err *e)
{
    char port[64];
    struct item *it = in ? item_child(in, e) : item_new(e);
    if (!it)
        return ERR_NOMEM;
    for (size_t i = 0; i < answer->n; i++) {
        const struct field *f = &answer->fields[i];
        if (!text_starts(f->name, STAGE_RESERVED) &&
            item_set_field(it, f->name, f, e)) {
            item_free(&it);
            return e->code;
        }
    }
    item_set_key(it, item_str(answer, STAGE_RESERVED "key", ""));
    snprintf(port, sizeof port, "%s", item_str(answer, LINK_PORT_FIELD, ""));
    return stage_emit(s, port[0] ? port : NULL, it, e);
}

static enum err_code take_fail(const struct item *it, struct err *e)
{
    enum err_code code = err_from_word(item_str(it, "error_code", "data"));
    if (code == OK || code == ERR_COUNT || code == ERR_CANCEL)
        code = ERR_DATA;
    return err_set(e, code, "%s",
                   item_str(it, "error_text", "no reason given"));
}

/* Take answers until the command is through with the request. *end: it said
 * "end". A malformed answer, or none, breaks the stage. */
static enum err_code take_answers(struct stage *s, struct bridge *b,
                                  const struct item *in, bool *end,
                                  struct err *e)
{
    bool over = false;
    struct err first = {0}; /* the item's failure; still hear it out */
    while (!over) {
        struct item *it = NULL;
        enum err_code rc = hear(s, b, &it, e);
        if (rc == ERR_CANCEL)
            return rc;
        if (!rc && !it)
            rc = ended_error(b, e);
        if (rc)
            return break_stage(s, e);
        if (strcmp(it->kind, "item") == 0) {
            struct err why = {0};
            if (!first.code && emit_answer(s, in, it, &why))
                first = why;
        } else if (strcmp(it->kind, "fail") == 0) {
            over = true;
            rc = take_fail(it, first.code ? NULL : &first);
        } else if (strcmp(it->kind, "report") == 0) {
            stage_report(s, "%s", item_str(it, "text", ""));
        } else if (strcmp(it->kind, "expect") == 0) {
            stage_expect(s, item_i64(it, "items", -1));
        } else if (strcmp(it->kind, "done") == 0 ||
                   (strcmp(it->kind, "end") == 0 && !in)) {
            over = true;
            *end = strcmp(it->kind, "end") == 0;
        } else {
            err_set(e, ERR_DATA, "'%s' answered with a message of kind '%s'",
                    command[0], it->kind);
            item_free(&it);
            return break_stage(s, e);
        }
        item_free(&it);
    }
    if (first.code)
        *e = first;
    return first.code;
}

/* The stage's functions */

static enum err_code bridge_open(void *ctx, struct stage *s, struct err *e)
{
    struct bridge *b = ctx;
    struct control_env env;
    char endpoint[LINK_MAX_ENDPOINT + 16];
    (void)s;
    enum err_code rc = control_env_read(&env, e);
    if (rc)
        return rc;
    snprintf(endpoint, sizeof endpoint, "ipc://%s/b%d.%u", env.dir, env.index,
             (unsigned)env.epoch);
    b->hub = link_hub_new(e);
    b->pair = b->hub ? link_pair(b->hub, endpoint, e) : NULL;
    return b->pair ? start_command(b, endpoint, e) : e->code;
}

static enum err_code bridge_produce(void *ctx, struct stage *s, bool *end,
                                    struct err *e)
{
    enum err_code rc = ask_plain(s, ctx, "next", e);
    return rc ? rc : take_answers(s, ctx, NULL, end, e);
}

static enum err_code bridge_transform(void *ctx, struct stage *s,
                                      struct item *const *in, size_t n,
                                      struct err *e)
{
    bool end;
    (void)n;
    struct item *it = item_copy(in[0], e);
    if (!it)
        return ERR_NOMEM;
    enum err_code rc = item_set_str(it, LINK_PORT_FIELD, stage_in_port(s), e);
    if (!rc)
        rc = ask(s, ctx, "item", it, e);
    item_free(&it);
    return rc ? rc : take_answers(s, ctx, in[0], &end, e);
}

static enum err_code bridge_finish(void *ctx, struct stage *s, struct err *e)
{
    struct bridge *b = ctx;
    enum err_code rc = ask_plain(s, b, "end", e);
    int64_t until = clock_ns() + END_WITHIN_S * SECOND;
    while (!rc) {
        struct item *it = NULL;
        bool ended = has_ended(b);
        rc = link_wait(b->hub, &b->pair, 1, NULL, 0, WAIT_MS, e);
        if (!rc)
            rc = link_recv(b->pair, NULL, &it, e);
        if (!rc && it && strcmp(it->kind, "item") == 0)
            rc = emit_answer(s, NULL, it, e);
        else if (!rc && it && strcmp(it->kind, "report") == 0)
            stage_report(s, "%s", item_str(it, "text", ""));
        if (it)
            until = clock_ns() + END_WITHIN_S * SECOND;
        else if (ended)
            break;
        item_free(&it);
        if (!rc && stage_stopping(s))
            rc = err_set(e, ERR_CANCEL, "stopped");
        if (!rc && clock_ns() > until)
            rc = err_set(e, ERR_IO, "'%s' does not exit after its last input",
                         command[0]);
    }
    if (!rc && b->status)
        rc = ended_error(b, e);
    return rc;
}

static void bridge_close(void *ctx)
{
    struct bridge *b = ctx;
    if (!has_ended(b)) {
        kill(b->pid, SIGTERM);
        for (int i = 0; i < 100 && !has_ended(b); i++)
            usleep(5000);
        if (!has_ended(b)) {
            kill(b->pid, SIGKILL);
            waitpid(b->pid, NULL, 0);
        }
    }
    link_close(&b->pair, 0);
    link_hub_free(&b->hub);
}

/* The table, made from what the command says of itself */

static enum err_code make_ports(const struct info_port *ports, size_t n,
                                struct stage_port **out, struct err *e)
{
    *out = mem_calloc(n + 1, sizeof **out);
    if (!*out)
        return err_set(e, ERR_NOMEM, "no memory for the ports");
    for (size_t i = 0; i < n; i++) {
        struct buf b;
        enum err_code rc = OK;
        buf_init(&b, FIELDS_MAX);
        for (size_t k = 0; !rc && k < ports[i].n; k++)
            rc = buf_printf(&b, e, "%s%s %s%s", k ? ", " : "",
                            ports[i].fields[k].name, ports[i].fields[k].type,
                            ports[i].fields[k].optional ? "?" : "");
        if (!rc && ports[i].open)
            rc = buf_puts(&b, ports[i].n ? ", ..." : "...", e);
        char *fields = rc ? NULL : mem_strdup(buf_str(&b));
        buf_free(&b);
        if (!fields)
            return rc ? rc : err_set(e, ERR_NOMEM, "no memory for the ports");
        (*out)[i] = (struct stage_port){ports[i].name, fields,
                                        ports[i].help ? ports[i].help : ""};
    }
    return OK;
}

static void free_ports(struct stage_port *p)
{
    for (size_t i = 0; p && p[i].name; i++) {
        void *fields;
        memcpy(&fields, &p[i].fields, sizeof fields);
        mem_free(fields);
    }
    mem_free(p);
}

static enum err_code describe_command(char **argv, size_t words,
                                      struct stage_info **info, struct err *e)
{
    char *saved = argv[words]; /* NULL, or the first parameter */
    argv[words] = NULL;
    enum err_code rc = stage_info_from_command(argv, info, e);
    argv[words] = saved;
    return rc;
}

int bridge_main(char **argv, size_t words)
{
    struct err e = {0};
    struct stage_info *info = NULL;
    struct stage_port *in = NULL, *out = NULL;
    struct stage s = {0};
    int status = 3;
    log_setup("bridge", log_level_from_env());
    command = argv;
    enum err_code rc = describe_command(argv, words, &info, &e);
    if (!rc)
        rc = make_ports(info->in, info->n_in, &in, &e);
    if (!rc)
        rc = make_ports(info->out, info->n_out, &out, &e);
    struct stage_desc desc = {
        .name = rc ? "" : info->name,
        .help = rc ? "" : info->help,
        .kind = rc                                  ? STAGE_SINK
                : strcmp(info->kind, "source") == 0 ? STAGE_SOURCE
                : strcmp(info->kind, "sink") == 0   ? STAGE_SINK
                                                    : STAGE_TRANSFORM,
        .ctx_size = sizeof(struct bridge),
        .open = bridge_open,
        .finish = bridge_finish,
        .close = bridge_close,
    };
    if (desc.kind == STAGE_SOURCE)
        desc.produce = bridge_produce;
    else
        desc.transform = bridge_transform;
    desc.in = desc.kind == STAGE_SOURCE ? NULL : in;
    desc.out = desc.kind == STAGE_SINK ? NULL : out;
    if (!rc)
        rc = stage_init(&s, &desc, desc.name, &e);
    if (rc)
        log_error("%s", e.text);
    else
        status = stage_linked(&s);
    stage_free(&s);
    free_ports(in);
    free_ports(out);
    stage_info_free(&info);
    return status;
}
