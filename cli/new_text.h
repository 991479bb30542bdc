/* What `facet new` writes, for each kind; @NAME@ stands for the name. */
#ifndef FACET_CLI_NEW_TEXT_H
#define FACET_CLI_NEW_TEXT_H

struct new_text {
    const char *kind, *stage, *test;
};
#define NEW_KINDS 3
extern const struct new_text new_texts[NEW_KINDS];

#endif
