// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * What a mirror has, page by page, and what it has done, in numbers.
 */
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "testdev.h"

/* Pages that are looked at in one go. */
#define ODP_TEST_BATCH	512

/**
 * struct odp_test_batch - room for a part of a snapshot
 * @core: as the core says it
 * @user: as user space wants it
 */
struct odp_test_batch {
	struct odp_snapshot core[ODP_TEST_BATCH];
	struct odp_test_page user[ODP_TEST_BATCH];
};

static struct odp_test_page odp_test_page(const struct odp_snapshot *page)
{
	return (struct odp_test_page) {
		.flags = (page->present ? ODP_TEST_PAGE_PRESENT : 0) |
			 (page->write ? ODP_TEST_PAGE_WRITE : 0) |
			 (page->pmem ? ODP_TEST_PAGE_PMEM : 0),
		.order = page->order,
	};
}

static int odp_test_snapshot_part(struct odp_test_window *window, u64 iova,
				  unsigned int npages,
				  struct odp_test_page __user *pages,
				  struct odp_test_batch *batch)
{
	unsigned int n;
	int err;

	err = odp_window_snapshot(&window->window, iova, npages, batch->core);
	if (err)
		return odp_test_errno(err);
	for (n = 0; n < npages; n++)
		batch->user[n] = odp_test_page(&batch->core[n]);
	if (copy_to_user(pages, batch->user, npages * sizeof(*pages)))
		return -EFAULT;
	return 0;
}

static int odp_test_snapshot_all(struct odp_test_window *window,
				 const struct odp_test_snapshot *snapshot)
{
	struct odp_test_page __user *pages = u64_to_user_ptr(snapshot->pages);
	u64 left = snapshot->npages, iova = snapshot->iova;
	struct odp_test_batch *batch;
	unsigned int n;
	int err = 0;

	batch = kmalloc_obj(*batch, GFP_KERNEL_ACCOUNT);
	if (!batch)
		return -ENOMEM;
	while (left && !err) {
		n = min_t(u64, left, ODP_TEST_BATCH);
		err = odp_test_snapshot_part(window, iova, n, pages, batch);
		iova += (u64)n << PAGE_SHIFT;
		pages += n;
		left -= n;
		if (!err && fatal_signal_pending(current))
			err = -EINTR;
		cond_resched();
	}
	kfree(batch);
	return err;
}

/**
 * odp_test_snapshot - ODP_TEST_SNAPSHOT
 * @device: the device
 * @call: with &struct odp_test_snapshot
 *
 * Return: 0, or an errno as in the UAPI
 */
int odp_test_snapshot(struct odp_test_device *device,
		      struct odp_test_call *call)
{
	struct odp_test_window *window;
	int err;

	window = odp_test_window_get(device, call->data.snapshot.window);
	if (!window)
		return -ENOENT;
	err = odp_test_snapshot_all(window, &call->data.snapshot);
	odp_test_window_put(window);
	return err;
}

/**
 * odp_test_stats - ODP_TEST_STATS
 * @device: the device
 * @call: with &struct odp_test_stats
 *
 * Return: 0, or -ENOENT
 */
int odp_test_stats(struct odp_test_device *device, struct odp_test_call *call)
{
	struct odp_test_stats *stats = &call->data.stats;
	struct odp_test_window *window;
	struct odp_mirror_stats core;
	const u64 *count = core.count;

	window = odp_test_window_get(device, stats->window);
	if (!window)
		return -ENOENT;
	odp_window_stats(&window->window, &core);
	odp_test_window_put(window);

	*stats = (struct odp_test_stats) {
		.size		= stats->size,
		.window		= stats->window,
		.chunks		= core.chunks,
		.pages		= core.pages,
		.table_bytes	= core.table_bytes,
		.windows	= core.windows,
		.faults		= count[ODP_COUNT_FAULTS],
		.faults_queued	= count[ODP_COUNT_QUEUED],
		.pages_mapped	= count[ODP_COUNT_PAGES],
		.snapshots	= count[ODP_COUNT_SNAPSHOTS],
		.prefetches	= count[ODP_COUNT_PREFETCHES],
		.invalidations	= count[ODP_COUNT_INVALIDATIONS],
		.callbacks	= count[ODP_COUNT_CALLBACKS],
		.pages_dropped	= count[ODP_COUNT_PAGES_DROPPED],
		.write_dropped	= count[ODP_COUNT_WRITE_DROPPED],
		.collisions	= count[ODP_COUNT_COLLISIONS],
		.retries	= count[ODP_COUNT_RETRIES],
		.busy		= count[ODP_COUNT_BUSY],
		.errors		= count[ODP_COUNT_ERRORS],
		.chunks_created	= count[ODP_COUNT_CHUNKS],
		.huge_mapped	= count[ODP_COUNT_HUGE],
		.tables_reclaimed = count[ODP_COUNT_RECLAIMED],
		.pages_flushed	= count[ODP_COUNT_FLUSHED],
	};
	return 0;
}
