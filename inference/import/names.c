/* SPDX-License-Identifier: Apache-2.0 */
/* Names of features, and copies of text, for all importers. */
#include <string.h>

#include "base/arena.h"
#include "inference/import/import_internal.h"

char *mill__copy_text(struct mill_slice text)
{
    char *copy = mill_malloc(text.n + 1);
    if (text.n > 0) {
        memcpy(copy, text.p, text.n);
    }
    copy[text.n] = 0;
    return copy;
}

void mill__names_add(struct mill__names *names, struct mill_slice name)
{
    /* A null byte inside would end the name, and shift those behind it. */
    name.n = name.n == 0 ? 0 : strnlen(name.p, name.n);
    mill_buffer_add_slice(&names->text, name);
    mill_buffer_add_byte(&names->text, 0);
    names->count++;
}

char **mill__names_take(struct mill__names *names)
{
    size_t heads = (size_t)names->count * sizeof(char *);
    char **block = mill_malloc(heads + names->text.n + 1), *text = (char *)block + heads;
    memcpy(text, names->text.n == 0 ? "" : names->text.p, names->text.n);
    for (uint32_t i = 0; i < names->count; i++) {
        block[i] = text;
        text += strlen(text) + 1;
    }
    mill__names_clear(names);
    return block;
}

void mill__names_clear(struct mill__names *names)
{
    mill_buffer_clear(&names->text);
    names->count = 0;
}
