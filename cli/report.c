/* SPDX-License-Identifier: Apache-2.0 */
/* Errors, problems of project files and results, on the terminal or as JSON. */
#include "cli/cli_internal.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "base/log.h"

const char *mill_cli_color(int fd, enum mill_cli_color color)
{
    static const char *const codes[] = {"\033[0m", "\033[1m", "\033[31m", "\033[33m", "\033[32m", "\033[2m"};
    return mill_terminal_has_color(fd) ? codes[color] : "";
}

static void write_error_json(const struct mill_error *err, int status)
{
    struct mill_buffer out = {0};
    struct mill_json_writer w;
    mill_json_writer_init(&w, &out, false);
    mill_json_write_object_begin(&w);
    mill_json_write_key(&w, "error");
    mill_json_write_object_begin(&w);
    mill_json_write_key(&w, "message");
    mill_json_write_cstr(&w, err->msg);
    mill_json_write_key(&w, "exit_status");
    mill_json_write_int64(&w, status);
    mill_json_write_object_end(&w);
    mill_json_write_object_end(&w);
    fprintf(stderr, "%s\n", mill_buffer_cstr(&out));
    mill_buffer_clear(&out);
}

int mill_cli_fail(const struct mill_cli *cli, const struct mill_error *err)
{
    int status = mill_error_exit_status(err->code);
    if (cli->json) {
        write_error_json(err, status);
        return status;
    }
    fprintf(stderr, "%stidemill:%s %s\n", mill_cli_color(STDERR_FILENO, MILL_CLI_RED),
            mill_cli_color(STDERR_FILENO, MILL_CLI_PLAIN), err->msg);
    return status;
}

int mill_cli_fail_with(const struct mill_cli *cli, int code, const char *fmt, ...)
{
    struct mill_error err = {.code = code};
    va_list args;
    va_start(args, fmt);
    vsnprintf(err.msg, sizeof(err.msg), fmt, args);
    va_end(args);
    return mill_cli_fail(cli, &err);
}

void mill_cli_print_problems(const struct mill_problems *problems)
{
    const char *plain = mill_cli_color(STDERR_FILENO, MILL_CLI_PLAIN);
    for (uint32_t i = 0; i < problems->count; i++) {
        const struct mill_problem *p = &problems->at[i];
        char place[32] = "";
        if (p->line > 0) {
            snprintf(place, sizeof(place), ":%u:%u", p->line, p->col);
        }
        fprintf(stderr, "%s%s%s:%s %s%s:%s %s\n", mill_cli_color(STDERR_FILENO, MILL_CLI_BOLD), p->file, place, plain,
                mill_cli_color(STDERR_FILENO, p->warning ? MILL_CLI_YELLOW : MILL_CLI_RED),
                p->warning ? "warning" : "error", plain, p->message);
    }
}

void mill_cli_problems_json(const struct mill_problems *problems, struct mill_json_writer *w)
{
    mill_json_write_array_begin(w);
    for (uint32_t i = 0; i < problems->count; i++) {
        const struct mill_problem *p = &problems->at[i];
        mill_json_write_object_begin(w);
        mill_json_write_key(w, "severity");
        mill_json_write_cstr(w, p->warning ? "warning" : "error");
        mill_json_write_key(w, "file");
        mill_json_write_cstr(w, p->file);
        mill_json_write_key(w, "line");
        mill_json_write_int64(w, p->line);
        mill_json_write_key(w, "col");
        mill_json_write_int64(w, p->col);
        mill_json_write_key(w, "message");
        mill_json_write_cstr(w, p->message);
        mill_json_write_object_end(w);
    }
    mill_json_write_array_end(w);
}

static void print_problems_json(const struct mill_problems *problems)
{
    struct mill_buffer out = {0};
    struct mill_json_writer w;
    mill_json_writer_init(&w, &out, false);
    mill_json_write_object_begin(&w);
    mill_json_write_key(&w, "problems");
    mill_cli_problems_json(problems, &w);
    mill_json_write_object_end(&w);
    fprintf(stderr, "%s\n", mill_buffer_cstr(&out));
    mill_buffer_clear(&out);
}

int mill_cli_load(const struct mill_cli *cli, bool offline, struct mill_project **ret_project)
{
    struct mill_project_options options = {.sets = cli->sets.at, .offline = offline};
    struct mill_problems problems;
    struct mill_error err;
    int rc = mill_project_load(cli->config, &options, ret_project, &problems, &err);
    if (cli->json && problems.count > 0) {
        print_problems_json(&problems);
    } else {
        mill_cli_print_problems(&problems);
    }
    mill_problems_clear(&problems);
    return rc < 0 ? mill_cli_fail(cli, &err) : 0;
}

int mill_cli_write(struct mill_buffer *out)
{
    bool good = out->n == 0 || fwrite(out->p, 1, out->n, stdout) == out->n;
    good = fflush(stdout) == 0 && good;
    mill_buffer_reset(out);
    if (!good) {
        fprintf(stderr, "tidemill: cannot write to standard output: %s\n", strerror(errno));
        return mill_error_exit_status(MILL_EIO);
    }
    return 0;
}
