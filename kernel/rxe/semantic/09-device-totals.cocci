// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
// File: rxe_verbs.h
// Lines: -0 +2
//
// rxe: give the device the counts of the mirrors that it had
//
// A mirror goes with the last region of its process, its counts do not.
@@
@@
#include "rxe_hw_counters.h"
+#include <linux/odp_mirror.h>
@@
identifier counters;
@@
struct rxe_dev {
	...
	atomic64_t counters[RXE_NUM_OF_COUNTERS];
+	struct odp_totals odp_totals;
	...
};
