// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
// File: rxe_hw_counters.h
// Lines: -0 +8
//
// rxe: number the device's ODP counters
@@
@@
enum rxe_counters { ...,
-	RXE_NUM_OF_COUNTERS
+	RXE_CNT_ODP_FAULTS,
+	RXE_CNT_ODP_FAULTS_QUEUED,
+	RXE_CNT_ODP_FAULTS_FAILED,
+	RXE_CNT_ODP_PAGES_MAPPED,
+	RXE_CNT_ODP_PAGES_INVALIDATED,
+	RXE_CNT_ODP_INVALIDATIONS,
+	RXE_CNT_ODP_PREFETCHES,
+	RXE_CNT_ODP_NOT_YET,
+	RXE_NUM_OF_COUNTERS
};
