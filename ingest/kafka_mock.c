/* SPDX-License-Identifier: Apache-2.0 */
/*
 * librdkafka's mock broker in this process: one broker on 127.0.0.1, for the demo and for tests. It balances groups
 * (three seconds for a rebalance), keeps 5 MiB a partition and drops the oldest beyond, and knows no transactions.
 */
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <stdlib.h>

#include "ingest/kafka_internal.h"

enum { BROKER_ID = 1, ERRORS_MAX = 64 };

struct mill_mock_kafka {
    struct mill__kafka_client client;
    rd_kafka_t *rk; /* lends its threads to the cluster */
    rd_kafka_mock_cluster_t *cluster;
};

int mill_mock_kafka_open(struct mill_mock_kafka **ret_mock, struct mill_error *err)
{
    struct mill_mock_kafka *mock = mill_calloc(1, sizeof(*mock));
    const struct mill_kafka_options options = {.brokers = "127.0.0.1:1"}; /* not used: the handle never connects */
    rd_kafka_conf_t *conf;

    int rc = mill__kafka_conf_new(&options, MILL__KAFKA_PRODUCER, &mock->client, &conf, err);
    if (rc == 0) {
        mill__kafka_conf_set(conf, "bootstrap.servers", "");
        rc = mill__kafka_open(MILL__KAFKA_PRODUCER, conf, &mock->rk, err);
    }
    if (rc < 0) {
        free(mock);
        return rc;
    }
    mock->cluster = rd_kafka_mock_cluster_new(mock->rk, 1);
    if (mock->cluster == NULL) {
        rd_kafka_destroy(mock->rk);
        free(mock);
        return mill_fail(err, MILL_ERESOURCE, "cannot start the embedded broker");
    }
    *ret_mock = mock;
    return 0;
}

const char *mill_mock_kafka_brokers(const struct mill_mock_kafka *mock)
{
    return rd_kafka_mock_cluster_bootstraps(mock->cluster);
}

int mill_mock_kafka_create_topic(struct mill_mock_kafka *mock, const char *topic, int32_t partition_count,
                                 struct mill_error *err)
{
    rd_kafka_resp_err_t resp_err = rd_kafka_mock_topic_create(mock->cluster, topic, partition_count, 1);
    return resp_err == RD_KAFKA_RESP_ERR_NO_ERROR
               ? 0
               : mill_fail(err, MILL_ECONFIG, "cannot create topic '%s': %s", topic, rd_kafka_err2str(resp_err));
}

void mill_mock_kafka_close(struct mill_mock_kafka *mock)
{
    if (mock == NULL) {
        return;
    }
    rd_kafka_mock_cluster_destroy(mock->cluster);
    rd_kafka_destroy(mock->rk);
    free(mock);
}

int mill__mock_kafka_set_up(struct mill_mock_kafka *mock, bool up)
{
    rd_kafka_resp_err_t resp_err = up ? rd_kafka_mock_broker_set_up(mock->cluster, BROKER_ID)
                                      : rd_kafka_mock_broker_set_down(mock->cluster, BROKER_ID);
    return resp_err == RD_KAFKA_RESP_ERR_NO_ERROR ? 0 : MILL_EIO;
}

void mill__mock_kafka_fail_requests(struct mill_mock_kafka *mock, int16_t api_key, int resp_err, unsigned count)
{
    rd_kafka_resp_err_t errors[ERRORS_MAX];
    mill_assert(count <= ERRORS_MAX);
    for (unsigned i = 0; i < count; i++) {
        errors[i] = (rd_kafka_resp_err_t)resp_err;
    }
    rd_kafka_mock_push_request_errors_array(mock->cluster, api_key, count, errors);
}
