// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
// File: rxe_hw_counters.c
// Lines: -0 +9
//
// rxe: show the device's ODP counters in hw_counters
@@
@@
 static const struct rdma_stat_desc rxe_counter_descs[] = {
	...,
	[RXE_CNT_RCVD_BYTES].name = "rcvd_bytes",
+	[RXE_CNT_ODP_FAULTS].name = "odp_faults",
+	[RXE_CNT_ODP_FAULTS_QUEUED].name = "odp_faults_queued",
+	[RXE_CNT_ODP_FAULTS_FAILED].name = "odp_faults_failed",
+	[RXE_CNT_ODP_PAGES_MAPPED].name = "odp_pages_mapped",
+	[RXE_CNT_ODP_PAGES_INVALIDATED].name = "odp_pages_invalidated",
+	[RXE_CNT_ODP_INVALIDATIONS].name = "odp_invalidations",
+	[RXE_CNT_ODP_PREFETCHES].name = "odp_prefetches",
+	[RXE_CNT_ODP_NOT_YET].name = "odp_not_yet",
 };
@@
@@
+	rxe_odp_update_counters(dev);
	for (cnt = 0; cnt < ARRAY_SIZE(rxe_counter_descs); cnt++)
		stats->value[cnt] = atomic64_read(&dev->stats_counters[cnt]);
