/* SPDX-License-Identifier: Apache-2.0 */
/* The names of the system's time zones: for the message about one that is not there. Called by timezone.c. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "base/arena.h"
#include "base/suggest.h"
#include "base/timezone_internal.h"

/* America/Argentina/Ushuaia is as deep as it goes. */
enum { DEPTH_MAX = 3, NAMES_MAX = 4096 };

struct names {
    struct mill_arena arena;
    const char **names;
    size_t count;
};

/* Zones and their directories begin with a capital; "posix", "right", "leapseconds" and tables do not or
 * have a dot. */
static bool is_name(const char *name)
{
    return name[0] >= 'A' && name[0] <= 'Z' && strchr(name, '.') == NULL;
}

static void collect(struct names *n, const char *dir, const char *prefix, unsigned depth)
{
    DIR *stream = opendir(dir);
    if (stream == NULL) {
        return;
    }
    for (struct dirent *e; (e = readdir(stream)) != NULL && n->count < NAMES_MAX;) {
        struct stat st;
        if (!is_name(e->d_name)) {
            continue;
        }
        const char *path = mill_arena_printf(&n->arena, "%s/%s", dir, e->d_name);
        const char *name = mill_arena_printf(&n->arena, "%s%s", prefix, e->d_name);
        if (stat(path, &st) != 0) {
            continue;
        }
        if (S_ISREG(st.st_mode)) {
            n->names[n->count++] = name;
        } else if (S_ISDIR(st.st_mode) && depth < DEPTH_MAX) {
            collect(n, path, mill_arena_printf(&n->arena, "%s/", name), depth + 1);
        }
    }
    closedir(stream);
}

/* "Paris" is nearer to "Europe/Paris" than letters tell; "New York" is, too. */
static const char *same_place(const struct names *n, const char *name)
{
    for (size_t i = 0; i < n->count; i++) {
        const char *slash = strrchr(n->names[i], '/');
        const char *place = slash == NULL ? n->names[i] : slash + 1;
        size_t j = 0;
        while (name[j] != '\0' && (strncasecmp(name + j, place + j, 1) == 0 || (name[j] == ' ' && place[j] == '_'))) {
            j++;
        }
        if (name[j] == '\0' && place[j] == '\0') {
            return n->names[i];
        }
    }
    return NULL;
}

static int compare(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

int mill__timezone_fail_unknown(const char *name, struct mill_error *err)
{
    struct names n = {0};
    const char *dir = mill__timezone_directory();
    mill_arena_init(&n.arena, 0);
    n.names = mill_arena_array(&n.arena, const char *, NAMES_MAX);
    collect(&n, dir, "", 1);
    /* The order of a directory is anyone's; that of a message is not. */
    qsort(n.names, n.count, sizeof(n.names[0]), compare);

    int rc;
    const char *nearest = mill_suggest(mill_slice_of(name), n.names, n.count);
    nearest = nearest == NULL ? same_place(&n, name) : nearest;
    if (n.count == 0) {
        rc = mill_fail(err, MILL_EDATA, "unknown time zone '%s', no time zones in '%s'; hint: install tzdata", name,
                       dir);
    } else if (nearest != NULL) {
        rc = mill_fail(err, MILL_EDATA, "unknown time zone '%s'; hint: did you mean '%s'?", name, nearest);
    } else {
        rc = mill_fail(err, MILL_EDATA,
                       "unknown time zone '%s', expected a name of the tz database; hint: for example UTC or "
                       "Europe/Paris",
                       name);
    }
    mill_arena_clear(&n.arena);
    return rc;
}
