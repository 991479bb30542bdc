/* Lines for a person, on stderr, each in one write so that lines of several
 * processes do not mix. */
#include "lib/base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/text.h"

static char log_prefix[64];
static enum log_level log_lowest = LOG_INFO;

void log_setup(const char *prefix, enum log_level lowest)
{
    snprintf(log_prefix, sizeof log_prefix, "%s", prefix ? prefix : "");
    log_lowest = lowest;
}

enum log_level log_level_from_env(void)
{
    static const char *const names[] = {"debug", "info", "warn", "error"};
    const char *s = getenv("FACET_LOG");
    for (int i = 0; s && i < 4; i++)
        if (strcmp(s, names[i]) == 0)
            return (enum log_level)i;
    return LOG_INFO;
}

void log_line(enum log_level level, const char *fmt, ...)
{
    static const char *const mark[] = {"debug: ", "", "warning: ", "error: "};
    if (level < log_lowest)
        return;
    char line[2048];
    int n = snprintf(line, sizeof line, "%s%s%s", log_prefix,
                     log_prefix[0] ? ": " : "", mark[level]);
    if (n < 0)
        return;
    size_t used = (size_t)n;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(line + used, sizeof line - used - 1, fmt, ap);
    va_end(ap);
    used = strlen(line);
    text_plain(line, used); /* names of files may hold anything */
    line[used++] = '\n';
    for (size_t done = 0; done < used;) {
        ssize_t w = write(STDERR_FILENO, line + done, used - done);
        if (w <= 0)
            return; /* nowhere left to say so */
        done += (size_t)w;
    }
}
