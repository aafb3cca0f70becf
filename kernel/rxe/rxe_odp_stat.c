// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * What can be seen of ODP regions from outside: rdma-statistic(8),
 * rdma-resource(8), and the device's hw_counters in sysfs.
 *
 * A region's counters have the names that mlx5 gave them, and mean the same:
 * "page_faults" are pages and "page_faults_handled" the faults that brought them,
 * and so on. Only that invalidations are the mirror's, see &struct
 * odp_window_counts.
 */
#include <rdma/restrack.h>

#include "rxe.h"

/**
 * rxe_odp_fill_res_mr - the part of `rdma resource show mr` that is ours
 * @msg: the answer
 * @ibmr: a region, which stays during the call
 *
 * Return: 0, or -EMSGSIZE: @msg is full; the caller drops the entry.
 */
int rxe_odp_fill_res_mr(struct sk_buff *msg, struct ib_mr *ibmr)
{
	struct rxe_mr *mr = to_rmr(ibmr);
	struct odp_window_counts counts;
	struct nlattr *table;

	if (!is_odp_mr(mr))
		return 0;

	odp_window_count(&mr->odp->window, &counts);
	table = nla_nest_start(msg, RDMA_NLDEV_ATTR_DRIVER);
	if (!table)
		return -EMSGSIZE;
	if (rdma_nl_put_driver_string(msg, "odp", mr->odp->implicit ?
						  "implicit" : "explicit") ||
	    rdma_nl_put_driver_u32(msg, "mirror", counts.mirror)) {
		nla_nest_cancel(msg, table);
		return -EMSGSIZE;
	}
	nla_nest_end(msg, table);
	return 0;
}

/**
 * rxe_odp_fill_stat_mr - the counters of `rdma statistic show mr`
 * @msg: the answer
 * @ibmr: a region, which stays during the call
 *
 * Return: 0, or -EMSGSIZE: @msg is full; the caller drops the entry.
 */
int rxe_odp_fill_stat_mr(struct sk_buff *msg, struct ib_mr *ibmr)
{
	struct rxe_mr *mr = to_rmr(ibmr);
	struct odp_window_counts counts;
	struct nlattr *table;

	if (!is_odp_mr(mr))
		return 0;

	odp_window_count(&mr->odp->window, &counts);
	table = nla_nest_start(msg, RDMA_NLDEV_ATTR_STAT_HWCOUNTERS);
	if (!table)
		return -EMSGSIZE;
	if (rdma_nl_stat_hwcounter_entry(msg, "page_faults",
					 counts.pages_faulted) ||
	    rdma_nl_stat_hwcounter_entry(msg, "page_faults_handled",
					 counts.faults) ||
	    rdma_nl_stat_hwcounter_entry(msg, "page_faults_failed",
					 counts.faults_failed) ||
	    rdma_nl_stat_hwcounter_entry(msg, "page_faults_queued",
					 counts.faults_queued) ||
	    rdma_nl_stat_hwcounter_entry(msg, "page_invalidations",
					 counts.pages_invalidated) ||
	    rdma_nl_stat_hwcounter_entry(msg, "page_invalidations_handled",
					 counts.invalidations) ||
	    rdma_nl_stat_hwcounter_entry(msg, "page_prefetch",
					 counts.pages_prefetched)) {
		nla_nest_cancel(msg, table);
		return -EMSGSIZE;
	}
	nla_nest_end(msg, table);
	return 0;
}

/**
 * rxe_odp_update_counters - make the device's counters those of now
 * @rxe: the device
 *
 * Context: process context, may sleep.
 */
void rxe_odp_update_counters(struct rxe_dev *rxe)
{
	static const struct {
		enum rxe_counters to;
		enum odp_counter from;
	} pairs[] = {
		{ RXE_CNT_ODP_FAULTS, ODP_COUNT_FAULTS },
		{ RXE_CNT_ODP_FAULTS_QUEUED, ODP_COUNT_QUEUED },
		{ RXE_CNT_ODP_FAULTS_FAILED, ODP_COUNT_ERRORS },
		{ RXE_CNT_ODP_PAGES_MAPPED, ODP_COUNT_PAGES },
		{ RXE_CNT_ODP_PAGES_INVALIDATED, ODP_COUNT_PAGES_DROPPED },
		{ RXE_CNT_ODP_INVALIDATIONS, ODP_COUNT_INVALIDATIONS },
		{ RXE_CNT_ODP_PREFETCHES, ODP_COUNT_PREFETCHES },
		{ RXE_CNT_ODP_NOT_YET, ODP_COUNT_BUSY },
	};
	u64 count[ODP_NR_COUNTERS];
	int i;

	odp_device_count(&rxe->ib_dev, &rxe->odp_totals, count);
	for (i = 0; i < ARRAY_SIZE(pairs); i++)
		atomic64_set(&rxe->stats_counters[pairs[i].to],
			     count[pairs[i].from]);
}
