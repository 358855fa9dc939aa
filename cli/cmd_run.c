/* SPDX-License-Identifier: Apache-2.0 */
/* tidemill run: the engine on Kafka, or offline on files. */
#include "cli/cli_internal.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "server/server.h"

static struct {
    struct mill_cli_texts inputs;
    const char *output, *vectors_of;
    bool until_end;
} o;

static const struct mill_cli_option options[] = {
    {"input", 'i', MILL_CLI_STRINGS, &o.inputs, "SOURCE=FILE",
     "offline: read this source from a file (.csv, .jsonl, .avro, each also .zst)", 0, 0, NULL},
    {"output", 'o', MILL_CLI_STRING, &o.output, "DIR",
     "offline: write rows.jsonl, scores.jsonl and dead_letter.jsonl there", 0, 0, NULL},
    {"vectors", 0, MILL_CLI_STRING, &o.vectors_of, "SERVICE",
     "offline: instead of scores, write the vectors of a feature service as SERVICE.csv", 0, 0, NULL},
    {"until-end", 0, MILL_CLI_FLAG, &o.until_end, NULL, "on Kafka: leave when the topics have been read to their ends",
     0, 0, NULL},
    {.name = NULL},
};

static const struct mill_cli_command command = {
    .name = "run",
    .arguments = "",
    .summary = "Runs a project: on Kafka until SIGTERM or Ctrl-C (once drains, twice leaves), or offline on files "
               "through the\n"
               "same path, without Kafka, Redis or RocksDB.",
    .examples = "  tidemill run -c flights.yaml\n"
                "  tidemill run -c flights.yaml --input departures=departures.csv.zst --output out\n",
    .options = options,
    .project = true,
};

/* The engine that a signal stops. Written before the handlers are set. */
static struct mill_engine *running;
static volatile sig_atomic_t signal_count;

static void on_signal(int number)
{
    (void)number;
    if (++signal_count > 1) {
        _exit(130);
    }
    mill_engine_stop(running);
}

static uint64_t peak_rss_bytes(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (uint64_t)usage.ru_maxrss * 1024;
}

static int print_summary(const struct mill_cli *cli, const struct mill_engine_summary *s, int64_t cpu_ns)
{
    struct mill_buffer out = {0};
    double seconds = (double)s->busy_ns / 1e9;

    if (cli->json) {
        struct mill_json_writer w;
        mill_json_writer_init(&w, &out, false);
        mill_json_write_object_begin(&w);
        const char *names[] = {"events", "rows", "scores", "dead_letters"};
        uint64_t values[] = {s->events, s->rows, s->scores, s->dead_letters};
        for (unsigned i = 0; i < 4; i++) {
            mill_json_write_key(&w, names[i]);
            mill_json_write_int64(&w, (int64_t)values[i]);
        }
        mill_json_write_key(&w, "busy_seconds");
        mill_json_write_double(&w, seconds);
        mill_json_write_key(&w, "cpu_seconds");
        mill_json_write_double(&w, (double)cpu_ns / 1e9);
        mill_json_write_key(&w, "peak_rss_bytes");
        mill_json_write_int64(&w, (int64_t)peak_rss_bytes());
        mill_json_write_object_end(&w);
        mill_buffer_add_byte(&out, '\n');
    } else {
        mill_buffer_printf(
            &out, "%llu events, %llu rows, %llu scores, %llu dead letters in %.2f s (%.0f events/s, %.2f CPU s)\n",
            (unsigned long long)s->events, (unsigned long long)s->rows, (unsigned long long)s->scores,
            (unsigned long long)s->dead_letters, seconds, seconds > 0 ? (double)s->events / seconds : 0,
            (double)cpu_ns / 1e9);
    }
    int status = mill_cli_write(&out);
    mill_buffer_clear(&out);
    return status;
}

static void on_progress(void *context, uint64_t done, uint64_t total, uint64_t events)
{
    mill_cli_progress_update(context, done, total, events);
}

/* "source=file" into its parts; the source must be of the project. */
static int split_inputs(const struct mill_project *project, struct mill_offline_input *inputs, struct mill_error *err)
{
    for (uint32_t i = 0; i < o.inputs.count; i++) {
        const char *equals = strchr(o.inputs.at[i], '=');
        if (equals == NULL || equals == o.inputs.at[i] || equals[1] == '\0') {
            return mill_fail(err, MILL_EUSAGE, "--input '%s' is not SOURCE=FILE", o.inputs.at[i]);
        }
        size_t n = (size_t)(equals - o.inputs.at[i]);
        inputs[i] = (struct mill_offline_input){.path = equals + 1};
        for (uint32_t s = 0; s < project->source_count; s++) {
            const char *name = project->sources[s].spec.name;
            if (strlen(name) == n && memcmp(name, o.inputs.at[i], n) == 0) {
                inputs[i].source = name;
            }
        }
        if (inputs[i].source == NULL) {
            return mill_fail(err, MILL_EUSAGE, "--input '%s': the project has no source '%.*s'", o.inputs.at[i], (int)n,
                             o.inputs.at[i]);
        }
        for (uint32_t other = 0; other < i; other++) {
            if (inputs[other].source == inputs[i].source) {
                return mill_fail(err, MILL_EUSAGE, "--input names source '%s' twice", inputs[i].source);
            }
        }
    }
    return MILL_OK;
}

static int run_offline(const struct mill_cli *cli, const struct mill_project *project)
{
    struct mill_offline_input *inputs = mill_calloc(o.inputs.count, sizeof(*inputs));
    struct mill_cli_progress progress;
    struct mill_offline_summary summary;
    struct mill_error err;

    int rc = split_inputs(project, inputs, &err);
    if (rc == MILL_OK) {
        struct mill_offline_options offline = {
            .inputs = inputs,
            .input_count = o.inputs.count,
            .output_dir = o.output,
            .vectors_of = o.vectors_of,
            .progress = on_progress,
            .context = &progress,
        };
        mill_cli_progress_begin(&progress, project->name);
        rc = mill_offline_run(project, &offline, &summary, &err);
        mill_cli_progress_end(&progress);
    }
    free(inputs);
    if (rc < 0) {
        return mill_cli_fail(cli, &err);
    }
    struct mill_engine_summary through = {summary.events, summary.rows, summary.scores, summary.dead_letters,
                                          summary.wall_ns};
    return print_summary(cli, &through, summary.cpu_ns);
}

static bool is_ready(void *context, struct mill_buffer *why)
{
    return mill_engine_is_ready(context, why);
}

static int open_server(const struct mill_project *project, struct mill_engine *engine, struct mill_server **ret_server,
                       struct mill_error *err)
{
    if (project->server.listen[0] == '\0') {
        return MILL_OK;
    }
    struct mill_server_options server = {
        .listen = project->server.listen,
        .metrics = mill_engine_metrics(engine),
        .is_ready = is_ready,
        .context = engine,
    };
    MILL_TRY(mill_server_open(&server, ret_server, err));
    mill_log(MILL_LOG_INFO, "server", "listening on %s; try: curl -s http://%s/metrics", project->server.listen,
             project->server.listen);
    return MILL_OK;
}

static void stop_on_signals(struct mill_engine *engine)
{
    struct sigaction action = {.sa_handler = on_signal};

    running = engine;
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

static int run_stream(const struct mill_cli *cli, const struct mill_project *project)
{
    struct mill_engine_options engine_options = {.until_end = o.until_end};
    struct mill_engine_summary summary = {0};
    struct mill_engine *engine = NULL;
    struct mill_server *server = NULL;
    struct mill_error err;
    int status = 0;

    int rc = mill_engine_open(project, &engine_options, &engine, &err);
    if (rc == MILL_OK) {
        stop_on_signals(engine);
        rc = open_server(project, engine, &server, &err);
    }
    if (rc == MILL_OK) {
        rc = mill_engine_run(engine, &err);
        mill_engine_summarize(engine, &summary);
    }
    mill_server_close(server);
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    mill_engine_close(engine);
    if (rc < 0) {
        return mill_cli_fail(cli, &err);
    }
    if (o.until_end) {
        status = print_summary(cli, &summary, mill_clock_process_cpu_ns());
    }
    return status;
}

int mill_cmd_run(int argc, char **argv)
{
    struct mill_project *project;
    struct mill_cli cli;
    int status;

    if (!mill_cli_parse(&command, argc, argv, &cli, &status)) {
        return status;
    }
    bool offline = o.inputs.count > 0 || o.output != NULL || o.vectors_of != NULL;
    if (offline && (o.inputs.count == 0 || o.output == NULL)) {
        return mill_cli_fail_with(&cli, MILL_EUSAGE, "an offline run needs --input SOURCE=FILE and --output DIR");
    }
    if (offline && o.until_end) {
        return mill_cli_fail_with(&cli, MILL_EUSAGE, "--until-end is for runs on Kafka; an offline run always ends");
    }
    status = mill_cli_load(&cli, offline, &project);
    if (status != 0) {
        return status;
    }
    status = offline ? run_offline(&cli, project) : run_stream(&cli, project);
    mill_project_free(project);
    return status;
}
