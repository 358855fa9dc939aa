/* SPDX-License-Identifier: Apache-2.0 */
/* tidemill config: the settings as they are in effect, and the reference of all keys. */
#include "cli/cli_internal.h"

static struct {
    bool origin, reference, offline;
} o;

static const struct mill_cli_option options[] = {
    {"origin", 0, MILL_CLI_FLAG, &o.origin, NULL, "also say where each value comes from", 0, 0, NULL},
    {"reference", 0, MILL_CLI_FLAG, &o.reference, NULL, "print the reference of all keys (Markdown)", 0, 0, NULL},
    {"offline", 0, MILL_CLI_FLAG, &o.offline, NULL, "for runs on files: Kafka and Redis need not be configured", 0, 0,
     NULL},
    {.name = NULL},
};

static const struct mill_cli_command command = {
    .name = "config",
    .arguments = "",
    .summary = "Shows every setting of a project with its value in effect; secrets are shown as ***.\n"
               "--set wins over the environment (MILL_KAFKA_GROUP), that over the file, that over the default.",
    .examples = "  tidemill config -c flights.yaml --origin\n"
                "  MILL_KAFKA_GROUP=test tidemill config -c flights.yaml --format json\n",
    .options = options,
    .project = true,
};

struct print_context {
    struct mill_buffer *out;
    struct mill_json_writer json;
};

static void print_text(void *context, const char *key, const char *value, const char *origin)
{
    struct print_context *p = context;
    if (o.origin) {
        mill_buffer_printf(p->out, "%-44s %-28s %s\n", key, value, origin);
    } else {
        mill_buffer_printf(p->out, "%-44s %s\n", key, value);
    }
}

static void print_json(void *context, const char *key, const char *value, const char *origin)
{
    struct print_context *p = context;
    mill_json_write_object_begin(&p->json);
    mill_json_write_key(&p->json, "key");
    mill_json_write_cstr(&p->json, key);
    mill_json_write_key(&p->json, "value");
    mill_json_write_cstr(&p->json, value);
    mill_json_write_key(&p->json, "origin");
    mill_json_write_cstr(&p->json, origin);
    mill_json_write_object_end(&p->json);
}

int mill_cmd_config(int argc, char **argv)
{
    struct mill_cli cli;
    struct mill_project *project;
    struct mill_buffer out = {0};
    int status;

    if (!mill_cli_parse(&command, argc, argv, &cli, &status)) {
        return status;
    }
    if (o.reference) {
        mill_project_write_reference(&out);
    } else {
        status = mill_cli_load(&cli, o.offline, &project);
        if (status != 0) {
            return status;
        }
        struct print_context p = {.out = &out};
        mill_json_writer_init(&p.json, &out, true);
        if (cli.json) {
            mill_json_write_array_begin(&p.json);
        }
        mill_project_each_setting(project, cli.json ? print_json : print_text, &p);
        if (cli.json) {
            mill_json_write_array_end(&p.json);
            mill_buffer_add_byte(&out, '\n');
        }
        mill_project_free(project);
    }
    status = mill_cli_write(&out);
    mill_buffer_clear(&out);
    return status;
}
