/* SPDX-License-Identifier: Apache-2.0 */
/* Runs the tidemill binary of the same build as a user would; for the tests of this directory. */
#ifndef MILL_TESTS_CLI_COMMAND_H
#define MILL_TESTS_CLI_COMMAND_H

#include <sys/types.h>

#include "base/buffer.h"

struct command {
    struct mill_buffer out, err; /* what it wrote */
    int status;                  /* its exit status, or 128 + signal */
};

/* A private directory, made current; removed by command_tear_down. cmocka set-up and tear-down of a group. */
int command_set_up(void **state);
int command_tear_down(void **state);
const char *command_directory(void);

/* Arguments end in NULL. */
void command_run(struct command *c, ...) __attribute__((sentinel));
/* The same without waiting; standard output and error go to files of that name. */
pid_t command_start(const char *out_file, const char *err_file, char *const *arguments);
int command_wait(pid_t pid);
void command_clear(struct command *c);
void command_write_file(const char *name, const char *text);

#endif
