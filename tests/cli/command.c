/* SPDX-License-Identifier: Apache-2.0 */
/* See command.h. */
#include "tests/cli/command.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"

enum { ARGUMENTS_MAX = 32 };

static char directory[] = "/tmp/mill_cli_XXXXXX";
static char binary[4096];

/* Beside the directory of the test: BUILD/tests/test_cli_x and BUILD/tidemill. */
static void find_binary(void)
{
    char self[3072];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    const char *given = getenv("TIDEMILL");
    assert_true(n > 0);
    self[n] = '\0';
    *strrchr(self, '/') = '\0';
    if (given != NULL) {
        snprintf(binary, sizeof(binary), "%s", given);
    } else {
        snprintf(binary, sizeof(binary), "%s/../tidemill", self);
    }
    if (access(binary, X_OK) != 0) {
        fail_msg("'%s' is not built; build the target tidemill first", binary);
    }
}

int command_set_up(void **state)
{
    (void)state;
    find_binary();
    return mkdtemp(directory) == NULL || chdir(directory) != 0 ? -1 : 0;
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *where)
{
    (void)status;
    (void)type;
    (void)where;
    return remove(path);
}

int command_tear_down(void **state)
{
    (void)state;
    return nftw(directory, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

const char *command_directory(void)
{
    return directory;
}

static void redirect(const char *file, int fd)
{
    int opened = open(file, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (opened < 0 || dup2(opened, fd) < 0) {
        _exit(127);
    }
    close(opened);
}

pid_t command_start(const char *out_file, const char *err_file, char *const *arguments)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        redirect(out_file, STDOUT_FILENO);
        redirect(err_file, STDERR_FILENO);
        execv(binary, arguments);
        _exit(127);
    }
    return pid;
}

int command_wait(pid_t pid)
{
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void command_run(struct command *c, ...)
{
    char *arguments[ARGUMENTS_MAX] = {binary};
    struct mill_error err;
    unsigned count = 1;
    va_list args;
    va_start(args, c);
    while ((arguments[count] = va_arg(args, char *)) != NULL) {
        assert_true(++count < ARGUMENTS_MAX);
    }
    va_end(args);
    c->status = command_wait(command_start(".out", ".err", arguments));
    mill_buffer_reset(&c->out);
    mill_buffer_reset(&c->err);
    assert_int_equal(mill_file_read(".out", 64 << 20, &c->out, &err), 0);
    assert_int_equal(mill_file_read(".err", 64 << 20, &c->err, &err), 0);
    mill_buffer_cstr(&c->out);
    mill_buffer_cstr(&c->err);
}

void command_clear(struct command *c)
{
    mill_buffer_clear(&c->out);
    mill_buffer_clear(&c->err);
}

void command_write_file(const char *name, const char *text)
{
    struct mill_error err;
    assert_int_equal(mill_file_replace(name, mill_slice_of(text), &err), 0);
}
