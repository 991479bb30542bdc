/* The program of a bridge: the table of the stage that it is, made from what
 * the command says of itself. */
#include <stdio.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/flow/bridge_internal.h"
#include "lib/flow/pipeline.h"

#define FIELDS_MAX 65536

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

/* The command line as it is started: ours are told how they run. */
static enum err_code make_command(char **argv, size_t words, struct err *e)
{
    size_t n = 0;
    static char flag[] = "--bridged";
    while (argv[n])
        n++;
    bridge_setup.argv = mem_calloc(n + 2, sizeof *bridge_setup.argv);
    if (!bridge_setup.argv)
        return err_set(e, ERR_NOMEM, "no memory for a command line");
    for (size_t i = 0, used = 0; i < words && used < sizeof bridge_setup.shown;
         i++)
        used += (size_t)snprintf(bridge_setup.shown + used,
                                 sizeof bridge_setup.shown - used, "%s%s",
                                 i ? " " : "", argv[i]);
    text_plain(bridge_setup.shown, strlen(bridge_setup.shown));
    for (size_t i = 0, k = 0; i < n; i++) {
        bridge_setup.argv[k++] = argv[i];
        if (bridge_setup.ours && i + 1 == words)
            bridge_setup.argv[k++] = flag;
    }
    return OK;
}

int bridge_main(char **argv, size_t words, const struct bridge_options *o)
{
    struct err e = {0};
    struct stage_info *info = NULL;
    struct stage_port *in = NULL, *out = NULL;
    struct stage s = {0};
    int status = 3;
    log_setup("bridge", log_level_from_env());
    bridge_setup.options = *o;
    enum err_code rc = describe_command(argv, words, &info, &e);
    bridge_setup.ours = !rc && info->ours;
    if (!rc)
        rc = make_command(argv, words, &e);
    if (!rc)
        rc = make_ports(info->in, info->n_in, &in, &e);
    if (!rc)
        rc = make_ports(info->out, info->n_out, &out, &e);
    struct stage_desc desc = bridge_desc;
    desc.name = rc ? "" : info->name;
    desc.help = rc ? "" : info->help;
    desc.kind = rc                                  ? STAGE_SINK
                : strcmp(info->kind, "source") == 0 ? STAGE_SOURCE
                : strcmp(info->kind, "sink") == 0   ? STAGE_SINK
                                                    : STAGE_TRANSFORM;
    if (desc.kind == STAGE_SOURCE)
        desc.transform = NULL;
    else
        desc.produce = NULL;
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
    mem_free(bridge_setup.argv);
    return status;
}
