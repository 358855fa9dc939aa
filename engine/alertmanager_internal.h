/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Drift alerts for Prometheus' Alertmanager (POST /api/v2/alerts of its API v2). A client of it says what fires again
 * and again, and what is resolved for a while longer, so this keeps what fires and sends all of it from a thread of its
 * own: an Alertmanager that is slow or down holds nothing else up, and hears everything once it is back.
 *
 * An alert's identity there is its set of labels: alertname, project, monitor, model, feature, segment, severity (minor
 * is "warning", major is "critical"). One that changes severity resolves under the old labels and fires under the new
 * ones. At-least-once: after a restart what still fires is put again.
 */
#ifndef MILL_ENGINE_ALERTMANAGER_INTERNAL_H
#define MILL_ENGINE_ALERTMANAGER_INTERNAL_H

#include "base/metrics.h"
#include "drift/drift.h"

struct mill__alertmanager;

struct mill__alertmanager_options {
    const char *url;              /* "http://user:password@127.0.0.1:9093": the API's path is added */
    const char *project;          /* a label */
    int64_t resend_us;            /* default 1 min; what fires ends by itself after three of them */
    int64_t keep_resolved_us;     /* how long a resolved one is said; default 5 min */
    struct mill_metric *failures; /* counter, or NULL; owned by the thread */
};

/* Waits for nothing: nobody has to answer yet. Strings are copied. MILL_ECONFIG: no URL of http or https. */
int mill__alertmanager_open(const struct mill__alertmanager_options *options, struct mill__alertmanager **ret_am,
                            struct mill_error *err) MILL_MUST_CHECK;
/* Takes note of a transition or repetition; never waits. Any one thread. At most MILL__ALERTS_MAX are kept: past that
 * the newest are left out, and a log line says so. */
enum { MILL__ALERTS_MAX = 10000 };
void mill__alertmanager_put(struct mill__alertmanager *am, const struct mill_drift_alert *alert);
/* Sends once more what is not sent yet (waiting at most a few seconds), ends the thread, frees. */
void mill__alertmanager_close(struct mill__alertmanager *am);

#endif
