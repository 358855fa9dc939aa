/* SPDX-License-Identifier: Apache-2.0 */
/* Series of drift: gauges of the last window of each monitor, counters of alerts and triggers. They come into being
 * with the first report of a feature. Evaluator thread. */
#include <math.h>
#include <stdlib.h>

#include "base/metrics.h"
#include "engine/evaluator_internal.h"

enum gauge { PSI, KS_STATISTIC, KS_PVALUE, SEVERITY, SAMPLES, NULL_RATIO, GAUGE_COUNT };
static const struct {
    const char *name, *help;
} gauges[GAUGE_COUNT] = {
    [PSI] = {"drift_psi", "PSI of the last window against the reference."},
    [KS_STATISTIC] = {"drift_ks_statistic", "KS statistic of the last window against the reference."},
    [KS_PVALUE] = {"drift_ks_pvalue", "Its p, where the rule needs it."},
    [SEVERITY] = {"drift_severity", "0 none, 1 minor, 2 major."},
    [SAMPLES] = {"drift_window_samples", "Rows of the last window."},
    [NULL_RATIO] = {"feature_null_ratio", "Share of rows of the last window without a value."},
};

enum performance { AUC, LOG_LOSS, BRIER, ACCURACY, CALIBRATION_ERROR, ROWS, PERFORMANCE_COUNT };
static const struct {
    const char *name, *help;
} performances[PERFORMANCE_COUNT] = {
    [AUC] = {"model_auc", "AUC over the last window, measured by labels or estimated from the scores alone."},
    [LOG_LOSS] = {"model_log_loss", "Log loss over the last window."},
    [BRIER] = {"model_brier_score", "Brier score over the last window."},
    [ACCURACY] = {"model_accuracy", "Accuracy at the model's threshold over the last window."},
    [CALIBRATION_ERROR] = {"model_calibration_error", "Expected calibration error over the last window."},
    [ROWS] = {"model_performance_rows", "Rows of the last window that these numbers are of."},
};

/* A feature in a segment, as one monitor sees it; the monitor itself (feature ""), or its performance of a kind
 * (segment); or a counter, of a model (in
 * monitor), by name (in feature) and other label (in segment). */
struct series {
    struct series *next;
    char *monitor, *feature, *segment;
    struct mill_metric *gauges[GAUGE_COUNT];
    struct mill_metric *performance[PERFORMANCE_COUNT];
    struct mill_metric *counter, *evaluated;
};

struct mill__drift_metrics {
    struct mill_metrics *metrics;
    struct series *series;
};

struct mill__drift_metrics *mill__drift_metrics_new(struct mill_metrics *metrics)
{
    struct mill__drift_metrics *m = mill_calloc(1, sizeof(*m));
    m->metrics = metrics;
    return m;
}

void mill__drift_metrics_free(struct mill__drift_metrics *m)
{
    while (m != NULL && m->series != NULL) {
        struct series *s = m->series;
        m->series = s->next;
        free(s->monitor);
        free(s->feature);
        free(s->segment);
        free(s);
    }
    free(m);
}

static struct series *find(struct mill__drift_metrics *m, const char *monitor, const char *feature, const char *segment,
                           bool *ret_new)
{
    for (struct series *s = m->series; s != NULL; s = s->next) {
        if (strcmp(s->monitor, monitor) == 0 && strcmp(s->feature, feature) == 0 && strcmp(s->segment, segment) == 0) {
            *ret_new = false;
            return s;
        }
    }
    struct series *s = mill_calloc(1, sizeof(*s));
    s->monitor = mill_strdup(monitor);
    s->feature = mill_strdup(feature);
    s->segment = mill_strdup(segment);
    s->next = m->series;
    m->series = s;
    *ret_new = true;
    return s;
}

static void set(struct mill_metric *gauge, double value)
{
    if (isnan(value)) {
        mill_gauge_unset(gauge);
    } else {
        mill_gauge_set(gauge, value);
    }
}

static void set_result(struct mill__drift_metrics *m, const struct mill_drift_report *report,
                       const struct mill_drift_result *result, const char *segment)
{
    bool is_new;
    struct series *s = find(m, report->monitor, result->feature->name, segment, &is_new);
    const char *labels[] = {"model",   report->model,   "feature", result->feature->name, "segment", segment,
                            "monitor", report->monitor, NULL};

    for (unsigned g = 0; is_new && g < GAUGE_COUNT; g++) {
        s->gauges[g] = mill_metrics_gauge(m->metrics, gauges[g].name, gauges[g].help, MILL_GAUGE_MAX, labels);
    }
    set(s->gauges[PSI], result->psi);
    set(s->gauges[KS_STATISTIC], result->ks.statistic);
    set(s->gauges[KS_PVALUE], result->ks_pvalue);
    set(s->gauges[SEVERITY], (double)result->severity);
    set(s->gauges[SAMPLES], (double)result->row_count);
    set(s->gauges[NULL_RATIO],
        result->row_count == 0 ? (double)NAN : (double)result->null_count / (double)result->row_count);
}

static void set_performance(struct mill__drift_metrics *m, const struct mill_drift_report *report, const char *kind,
                            const double values[static PERFORMANCE_COUNT])
{
    const char *labels[] = {"model", report->model, "monitor", report->monitor, "kind", kind, NULL};
    bool is_new;
    struct series *s = find(m, report->monitor, "", kind, &is_new);

    for (unsigned p = 0; is_new && p < PERFORMANCE_COUNT; p++) {
        s->performance[p] =
            mill_metrics_gauge(m->metrics, performances[p].name, performances[p].help, MILL_GAUGE_MAX, labels);
    }
    for (unsigned p = 0; p < PERFORMANCE_COUNT; p++) {
        set(s->performance[p], values[p]);
    }
}

static void set_performances(struct mill__drift_metrics *m, const struct mill_drift_report *report)
{
    const struct mill_performance *p = &report->performance;
    const double measured[PERFORMANCE_COUNT] = {p->auc,      p->log_loss,          p->brier,
                                                p->accuracy, p->calibration_error, (double)p->labelled};
    const double estimated[PERFORMANCE_COUNT] = {p->estimated_auc,      p->estimated_log_loss, p->estimated_brier,
                                                 p->estimated_accuracy, (double)NAN,           (double)p->scored};

    if (report->has_performance) {
        set_performance(m, report, "measured", measured);
        set_performance(m, report, "estimated", estimated);
    }
}

void mill__drift_metrics_report(struct mill__drift_metrics *m, const struct mill_drift_report *report)
{
    const char *labels[] = {"model", report->model, "monitor", report->monitor, NULL};
    struct mill_buffer segment = {0};
    bool is_new;
    struct series *s = find(m, report->monitor, "", "", &is_new);

    if (is_new) {
        s->evaluated =
            mill_metrics_gauge(m->metrics, "drift_evaluated_timestamp_seconds",
                               "End of the last window that was evaluated, in event time.", MILL_GAUGE_MAX, labels);
    }
    mill_gauge_set(s->evaluated, (double)report->end_us / 1e6);
    for (uint32_t i = 0; i < report->result_count; i++) {
        mill_buffer_reset(&segment);
        mill_drift_segment_name(report->profile, report->results[i].segment, &segment);
        set_result(m, report, &report->results[i], mill_buffer_cstr(&segment));
    }
    mill_buffer_clear(&segment);
    set_performances(m, report);
}

/* labels: "model", its name, another label, its value, NULL. */
static void count(struct mill__drift_metrics *m, const char *name, const char *help, const char *const *labels)
{
    bool is_new;
    struct series *s = find(m, labels[1], name, labels[3], &is_new);

    if (is_new) {
        s->counter = mill_metrics_counter(m->metrics, name, help, labels);
    }
    mill_counter_add(s->counter, 1);
}

void mill__drift_metrics_alert(struct mill__drift_metrics *m, const struct mill_drift_alert *alert)
{
    const char *labels[] = {"model", alert->report->model, "severity", mill_severity_name(alert->severity), NULL};
    count(m, "drift_alerts_total", "Alert transitions and repeats that were sent.", labels);
}

void mill__drift_metrics_trigger(struct mill__drift_metrics *m, const char *model, enum mill_trigger_reason reason)
{
    const char *labels[] = {"model", model, "reason", mill_trigger_reason_name(reason), NULL};
    count(m, "retrain_triggers_total", "Retraining triggers that were sent.", labels);
}

void mill__drift_metrics_unset(struct mill__drift_metrics *m, const char *monitor)
{
    for (struct series *s = m->series; s != NULL; s = s->next) {
        if (strcmp(s->monitor, monitor) != 0 || s->counter != NULL) {
            continue;
        }
        for (unsigned g = 0; s->gauges[0] != NULL && g < GAUGE_COUNT; g++) {
            mill_gauge_unset(s->gauges[g]);
        }
        for (unsigned p = 0; s->performance[0] != NULL && p < PERFORMANCE_COUNT; p++) {
            mill_gauge_unset(s->performance[p]);
        }
        if (s->evaluated != NULL) {
            mill_gauge_unset(s->evaluated);
        }
    }
}
