/* SPDX-License-Identifier: Apache-2.0 */
/* tidemill healthcheck: asks the running engine whether it is ready; for Docker, systemd and scripts. */
#include "cli/cli_internal.h"

#include <string.h>

static struct {
    const char *url;
    int64_t timeout_ms;
    bool live;
} o = {.timeout_ms = 3000};

static const struct mill_cli_option options[] = {
    {"url", 0, MILL_CLI_STRING, &o.url, "URL", "the engine's address (default: server.listen of the project)", 0, 0,
     NULL},
    {"timeout", 0, MILL_CLI_INTEGER, &o.timeout_ms, "MS", "how long to wait for the answer (default: 3000)", 1, 600000,
     NULL},
    {"live", 0, MILL_CLI_FLAG, &o.live, NULL, "ask only whether it is alive", 0, 0, NULL},
    {.name = NULL},
};

static const struct mill_cli_command command = {
    .name = "healthcheck",
    .arguments = "",
    .summary = "Asks the engine of the project whether it is ready.\n"
               "Leaves with 0 where it is, 1 where it is not, 69 where nobody answers.",
    .examples = "  tidemill healthcheck -c flights.yaml\n"
                "  tidemill healthcheck --url http://127.0.0.1:6566\n",
    .options = options,
    .project = true,
};

static int print_answer(const struct mill_cli *cli, struct mill_buffer *body, long http_status)
{
    struct mill_buffer out = {0};
    bool good = http_status == 200;
    while (body->n > 0 && body->p[body->n - 1] == '\n') {
        body->n--;
    }
    if (cli->json) {
        mill_buffer_printf(&out, "{\"healthy\":%s,\"http_status\":%ld,\"answer\":", good ? "true" : "false",
                           http_status);
        mill_json_append_string(&out, mill_buffer_slice(body));
        mill_buffer_add_string(&out, "}\n");
    } else {
        mill_buffer_printf(&out, "%s: %s\n", good ? o.live ? "alive" : "ready" : "not ready", mill_buffer_cstr(body));
    }
    int status = mill_cli_write(&out);
    mill_buffer_clear(&out);
    return status != 0 ? status : good ? 0 : 1;
}

int mill_cmd_healthcheck(int argc, char **argv)
{
    struct mill_cli cli;
    struct mill_buffer url = {0}, body = {0};
    struct mill_error err;
    long http_status;
    int status;

    if (!mill_cli_parse(&command, argc, argv, &cli, &status)) {
        return status;
    }
    status = mill_cli_endpoint(&cli, o.url, &url);
    if (status == 0) {
        mill_buffer_add_string(&url, o.live ? "/v2/health/live" : "/v2/health/ready");
        if (mill_cli_http_get(mill_buffer_cstr(&url), (int)o.timeout_ms, &body, &http_status, &err) < 0) {
            status = mill_cli_fail(&cli, &err);
        } else {
            status = print_answer(&cli, &body, http_status);
        }
    }
    mill_buffer_clear(&url);
    mill_buffer_clear(&body);
    return status;
}
