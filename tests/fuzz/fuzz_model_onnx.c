/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzzes the importer of ONNX models and the kernels with what it lets through. */
#include "fuzz_model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return fuzz_model(data, size);
}
