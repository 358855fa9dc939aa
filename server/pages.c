/* SPDX-License-Identifier: Apache-2.0 */
/* What the server answers: health as the Open Inference Protocol words it, metrics for Prometheus, the version. */
#include "server/server_internal.h"

#include <string.h>

#include "base/json.h"

enum { STATUS_OK = 200, STATUS_UNAVAILABLE = 503 };

static const char json[] = "application/json";

static unsigned render_health(const struct mill_server_options *options, struct mill_buffer *body)
{
    (void)options;
    mill_buffer_add_string(body, "{\"status\":\"ok\"}\n");
    return STATUS_OK;
}

static unsigned render_live(const struct mill_server_options *options, struct mill_buffer *body)
{
    (void)options;
    mill_buffer_add_string(body, "{\"live\":true}\n");
    return STATUS_OK;
}

static unsigned render_ready(const struct mill_server_options *options, struct mill_buffer *body)
{
    struct mill_buffer why = {0};
    bool ready = options->is_ready == NULL || options->is_ready(options->context, &why);
    if (ready) {
        mill_buffer_add_string(body, "{\"ready\":true}\n");
    } else {
        mill_buffer_add_string(body, "{\"ready\":false,\"reason\":");
        mill_json_append_string(body, mill_buffer_slice(&why));
        mill_buffer_add_string(body, "}\n");
    }
    mill_buffer_clear(&why);
    return ready ? STATUS_OK : STATUS_UNAVAILABLE;
}

static unsigned render_metrics(const struct mill_server_options *options, struct mill_buffer *body)
{
    if (options->metrics != NULL) {
        mill_metrics_write_prometheus(options->metrics, body);
    }
    return STATUS_OK;
}

static unsigned render_version(const struct mill_server_options *options, struct mill_buffer *body)
{
    (void)options;
    mill_buffer_add_string(body, "{\"name\":\"tidemill\",\"version\":\"" MILL_VERSION "\"}\n");
    return STATUS_OK;
}

const struct mill__page mill__pages[] = {
    {"/health", json, render_health},         {"/v2/health/live", json, render_live},
    {"/v2/health/ready", json, render_ready}, {"/metrics", "text/plain; version=0.0.4; charset=utf-8", render_metrics},
    {"/version", json, render_version},
};
const unsigned mill__page_count = sizeof(mill__pages) / sizeof(mill__pages[0]);

const struct mill__page *mill__page_find(const char *path)
{
    for (unsigned i = 0; i < mill__page_count; i++) {
        if (strcmp(path, mill__pages[i].path) == 0) {
            return &mill__pages[i];
        }
    }
    return NULL;
}

void mill__page_error(struct mill_buffer *body, const char *message)
{
    mill_buffer_add_string(body, "{\"error\":");
    mill_json_append_string(body, mill_slice_of(message));
    mill_buffer_add_string(body, "}\n");
}
