// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* The tracepoints' one definition; trace.h says what they are. */
#include "mirror.h"

#define CREATE_TRACE_POINTS
#include "trace.h"
