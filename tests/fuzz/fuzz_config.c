/* SPDX-License-Identifier: Apache-2.0 */
/* Project files: any bytes end in a project or in problems, each with a place inside the file. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/arena.h"
#include "engine/engine.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int fd = -1;
    static char path[64];
    struct mill_project_options options = {.offline = true};
    struct mill_project *project = NULL;
    struct mill_problems problems;
    struct mill_error err;

    if (fd < 0) {
        fd = memfd_create("project", 0);
        mill_assert(fd >= 0);
        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    }
    mill_assert(ftruncate(fd, 0) == 0);
    mill_assert(pwrite(fd, data, size, 0) == (ssize_t)size);
    int rc = mill_project_load(path, &options, &project, &problems, &err);
    unsigned lines = 1;
    for (size_t i = 0; i < size; i++) {
        lines += data[i] == '\n' || data[i] == '\r';
    }
    for (uint32_t i = 0; i < problems.count; i++) {
        const struct mill_problem *p = &problems.at[i];
        mill_assert(p->message[0] != '\0');
        /* YAML knows three more line ends, each of two or three bytes. */
        mill_assert(p->line <= lines + size / 2 + 1);
        mill_assert(strcmp(p->file, path) != 0 || p->line > 0 || i + 1 == problems.count);
    }
    mill_assert((rc == MILL_OK) == (project != NULL));
    mill_assert(rc != MILL_ECONFIG || problems.error_count > 0);
    mill_project_free(project);
    mill_problems_clear(&problems);
    return 0;
}
