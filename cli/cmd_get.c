/* SPDX-License-Identifier: Apache-2.0 */
/* tidemill get: an entity's row as the online store serves it. */
#include "cli/cli_internal.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/suggest.h"

static const struct mill_cli_option options[] = {{.name = NULL}};

static const struct mill_cli_command command = {
    .name = "get",
    .arguments = "VIEW KEY...",
    .summary = "Prints the row of one entity of a feature view from the online store: its features, their event time "
               "and age.\n"
               "KEY is one word per join key. Leaves with 66 where there is none.",
    .examples = "  tidemill get -c flights.yaml carrier_stats UA\n"
                "  tidemill get -c flights.yaml aircraft_departures N14228 --format json\n",
    .options = options,
    .project = true,
    .arguments_min = 2,
    .arguments_max = 1 + MILL_KEY_PARTS_MAX,
};

static int find_view(const struct mill_project *project, const char *name, const struct mill_view_config **ret_view,
                     struct mill_error *err)
{
    const char **names = mill_arena_array(project->arena, const char *, project->view_count + 1);

    for (uint32_t v = 0; v < project->view_count; v++) {
        names[v] = project->views[v].spec.name;
        if (strcmp(names[v], name) == 0) {
            *ret_view = &project->views[v];
            return project->views[v].online
                       ? MILL_OK
                       : mill_fail(err, MILL_EUSAGE, "feature view '%s' has `online: false`", name);
        }
    }
    const char *near = mill_suggest(mill_slice_of(name), names, project->view_count);
    return mill_fail(err, MILL_EUSAGE,
                     near == NULL ? "unknown feature view '%s'" : "unknown feature view '%s'; hint: did you mean '%s'?",
                     name, near);
}

static void write_value(struct mill_json_writer *w, const struct mill_column *column)
{
    char text[32];

    if (!mill_bit_get(column->valid, 0)) {
        mill_json_write_null(w);
        return;
    }
    switch (column->type) {
    case MILL_BOOL:
        mill_json_write_bool(w, column->at.b[0]);
        break;
    case MILL_INT64:
        mill_json_write_int64(w, column->at.i[0]);
        break;
    case MILL_FLOAT64:
        mill_json_write_double(w, column->at.f[0]);
        break;
    case MILL_STRING:
        mill_json_write_string(w, column->at.s[0]);
        break;
    case MILL_TIMESTAMP: {
        size_t n = mill_timestamp_print(column->at.i[0], text);
        mill_json_write_string(w, (struct mill_slice){text, n});
        break;
    }
    }
}

static int write_row(const struct mill_view_config *config, const struct mill_view *view, struct mill_slice key,
                     const struct mill_online_row *row, struct mill_json_writer *w)
{
    char time[32];
    size_t time_n = mill_timestamp_print(row->event_time_us, time);

    mill_json_write_object_begin(w);
    mill_json_write_key(w, "view");
    mill_json_write_cstr(w, config->spec.name);
    mill_json_write_key(w, "key");
    MILL_TRY(mill_key_write_json(&config->spec.entity, key, w));
    mill_json_write_key(w, "event_time");
    mill_json_write_string(w, (struct mill_slice){time, time_n});
    if (row->offset >= 0) {
        mill_json_write_key(w, "partition");
        mill_json_write_int64(w, row->partition);
        mill_json_write_key(w, "offset");
        mill_json_write_int64(w, row->offset);
    }
    mill_json_write_key(w, "features");
    mill_json_write_object_begin(w);
    for (uint32_t c = 0; c < mill_view_output_count(view); c++) {
        mill_json_write_key(w, mill_view_schema(view)->fields[c].name);
        write_value(w, &row->values[c]);
    }
    mill_json_write_object_end(w);
    mill_json_write_object_end(w);
    return MILL_OK;
}

static int get(const struct mill_project *project, const struct mill_view_config *config, const struct mill_view *view,
               struct mill_slice key, struct mill_online_row *ret_row, struct mill_error *err)
{
    struct mill_online_view online_view = {
        .name = config->spec.name,
        .entity = &config->spec.entity,
        .features = mill_view_schema(view)->fields,
        .feature_count = mill_view_output_count(view),
        .ttl_us = config->spec.ttl_us,
    };
    struct mill_online *online;

    MILL_TRY(mill_online_open(&project->online_store.options, &online_view, 1, &online, err));
    int rc = mill_online_get(online, 0, key, project->arena, ret_row, err);
    mill_online_close(online);
    return rc;
}

static int run_get(const struct mill_cli *cli, const struct mill_project *project, struct mill_buffer *out,
                   struct mill_error *err)
{
    const struct mill_view_config *config = NULL;
    struct mill_slice parts[MILL_KEY_PARTS_MAX];
    struct mill_online_row row;
    struct mill_view *view;
    struct mill_json_writer w;
    struct mill_buffer key = {0};

    if (!project->online_store.redis) {
        return mill_fail(err, MILL_EUSAGE, "the project has no online store");
    }
    MILL_TRY(find_view(project, cli->arguments[0], &config, err));
    for (unsigned i = 1; i < cli->argument_count; i++) {
        parts[i - 1] = mill_slice_of(cli->arguments[i]);
    }
    MILL_TRY(mill_view_compile(&config->spec, &view, err));
    int rc = mill_key_parse(&config->spec.entity, parts, cli->argument_count - 1, &key, err);
    if (rc == MILL_OK) {
        rc = get(project, config, view, mill_buffer_slice(&key), &row, err);
    }
    if (rc == 0) {
        rc = mill_fail(err, MILL_ENOINPUT, "feature view '%s' has no row for that key", config->spec.name);
    } else if (rc == 1) {
        mill_json_writer_init(&w, out, !cli->json);
        rc = write_row(config, view, mill_buffer_slice(&key), &row, &w);
        mill_buffer_add_byte(out, '\n');
        if (!cli->json && rc == MILL_OK) {
            double age_s = (double)(mill_clock_wall_us() - row.event_time_us) / 1e6;
            fprintf(stderr, "%sthe event is %.1f s old%s\n", mill_cli_color(STDERR_FILENO, MILL_CLI_DIM), age_s,
                    mill_cli_color(STDERR_FILENO, MILL_CLI_PLAIN));
        }
    }
    mill_buffer_clear(&key);
    mill_view_free(view);
    return rc;
}

int mill_cmd_get(int argc, char **argv)
{
    struct mill_project *project;
    struct mill_buffer out = {0};
    struct mill_cli cli;
    struct mill_error err = {0};
    int status;

    if (!mill_cli_parse(&command, argc, argv, &cli, &status)) {
        return status;
    }
    status = mill_cli_load(&cli, false, &project);
    if (status != 0) {
        return status;
    }
    int rc = run_get(&cli, project, &out, &err);
    status = rc < 0 ? mill_cli_fail(&cli, &err) : mill_cli_write(&out);
    mill_buffer_clear(&out);
    mill_project_free(project);
    return status;
}
