/* SPDX-License-Identifier: Apache-2.0 */
/* tidemill validate: every problem of a project file in one run. */
#include "cli/cli_internal.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static struct {
    bool offline, strict;
} o;

static const struct mill_cli_option options[] = {
    {"offline", 0, MILL_CLI_FLAG, &o.offline, NULL, "for runs on files: Kafka and Redis need not be configured", 0, 0,
     NULL},
    {"strict", 0, MILL_CLI_FLAG, &o.strict, NULL, "warnings count as errors", 0, 0, NULL},
    {.name = NULL},
};

static const struct mill_cli_command command = {
    .name = "validate",
    .arguments = "[FILE]",
    .summary =
        "Checks a project file and everything it names: keys, types, names, expressions, schemas and model files.\n"
        "Prints each problem as FILE:LINE:COL; leaves with 78 where there is an error.",
    .examples = "  tidemill validate flights.yaml\n"
                "  tidemill validate -c flights.yaml --set kafka.group=test\n",
    .options = options,
    .project = true,
    .arguments_max = 1,
};

static int print_json(const struct mill_problems *problems, bool valid)
{
    struct mill_buffer out = {0};
    struct mill_json_writer w;
    mill_json_writer_init(&w, &out, false);
    mill_json_write_object_begin(&w);
    mill_json_write_key(&w, "valid");
    mill_json_write_bool(&w, valid);
    mill_json_write_key(&w, "problems");
    mill_cli_problems_json(problems, &w);
    mill_json_write_object_end(&w);
    mill_buffer_add_byte(&out, '\n');
    int status = mill_cli_write(&out);
    mill_buffer_clear(&out);
    return status;
}

static void print_summary(const struct mill_project *p)
{
    printf("%sok%s %s: %u source%s, %u feature view%s, %u feature service%s, %u model%s\n",
           mill_cli_color(STDOUT_FILENO, MILL_CLI_GREEN), mill_cli_color(STDOUT_FILENO, MILL_CLI_PLAIN), p->path,
           p->source_count, p->source_count == 1 ? "" : "s", p->view_count, p->view_count == 1 ? "" : "s",
           p->service_count, p->service_count == 1 ? "" : "s", p->model_count, p->model_count == 1 ? "" : "s");
}

int mill_cmd_validate(int argc, char **argv)
{
    struct mill_cli cli;
    struct mill_problems problems;
    struct mill_project *project = NULL;
    struct mill_error err;
    int status;

    if (!mill_cli_parse(&command, argc, argv, &cli, &status)) {
        return status;
    }
    const char *path = cli.argument_count == 1 ? cli.arguments[0] : cli.config;
    struct mill_project_options project_options = {.sets = cli.sets.at, .offline = o.offline};
    int rc = mill_project_load(path, &project_options, &project, &problems, &err);
    if (rc == MILL_OK && o.strict && problems.count > 0) {
        rc = mill_fail(&err, MILL_ECONFIG, "'%s' has %u warning%s", path, problems.count,
                       problems.count == 1 ? "" : "s");
    }
    if (cli.json && (rc == MILL_OK || rc == MILL_ECONFIG)) {
        status = print_json(&problems, rc == MILL_OK);
        status = rc == MILL_OK ? status : mill_error_exit_status(rc);
    } else {
        mill_cli_print_problems(&problems);
        status = rc < 0 ? mill_cli_fail(&cli, &err) : 0;
        if (rc == MILL_OK) {
            print_summary(project);
        }
    }
    mill_problems_clear(&problems);
    mill_project_free(project);
    return status;
}
