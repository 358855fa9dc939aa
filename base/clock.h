/* SPDX-License-Identifier: Apache-2.0 */
/* The two clocks. Wall time is for people, logs and Redis expiry; never for a fold. Any thread. */
#ifndef MILL_BASE_CLOCK_H
#define MILL_BASE_CLOCK_H

#include <stdint.h>

int64_t mill_clock_mono_ns(void);
int64_t mill_clock_wall_us(void);
int64_t mill_clock_thread_cpu_ns(void);
int64_t mill_clock_process_cpu_ns(void);

#endif
