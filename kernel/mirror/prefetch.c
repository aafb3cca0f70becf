// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Prefetch: faults ahead of the accesses that would take them.
 *
 * A prefetch is a work item that walks its range slot by slot. It holds the
 * mirror, not the window: the region that it was asked for may be deregistered
 * while it waits for a disk or a frozen file system, and whoever waits for it
 * can be killed. It ends early when the mirror has no window left or the owner
 * has exited.
 */
#include <linux/export.h>
#include <linux/slab.h>

#include "mirror.h"

/* Prefetches that one mirror may have running: a bound for what a user queues. */
#define ODP_PREFETCHES_MAX	64

/**
 * struct odp_prefetch - a prefetch under way
 * @work: runs it
 * @ref: one for the work item, one for who started it
 * @mirror: held
 * @first: where it is
 * @last: last address
 * @mode: what may be done to the owner's mm
 * @error: how it ended; valid after @done
 * @done: completed when it ended
 */
struct odp_prefetch {
	struct work_struct work;
	refcount_t ref;
	struct odp_mirror *mirror;
	unsigned long first;
	unsigned long last;
	enum odp_prefetch_mode mode;
	int error;
	struct completion done;
};

/* As far as to @last, in one slot. How many pages are behind us, or an errno. */
static long odp_prefetch_slot(struct odp_prefetch *prefetch, unsigned long last)
{
	bool fault = prefetch->mode != ODP_PREFETCH_PRESENT;
	bool write = prefetch->mode == ODP_PREFETCH_WRITE;
	struct odp_mirror *mirror = prefetch->mirror;
	unsigned long first = prefetch->first;
	struct odp_chunk *chunk;
	long ret;

	/* For one slot only, so that a prefetch does not delay exit for long. */
	if (!odp_mm_get(mirror))
		return -EFAULT;

	chunk = odp_chunk_keep(mirror, first);
	if (IS_ERR(chunk)) {
		ret = PTR_ERR(chunk);
	} else {
		ret = odp_fault_slot(chunk, first, last, write,
				     fault ? ODP_FAULT_FULL :
					     ODP_FAULT_LOOK);
		odp_chunk_release(chunk);
	}
	odp_mm_put(mirror);

	/* Of what is merely present, all was seen that there is to see. */
	if (!fault && (ret >= 0 || ret == -EAGAIN))
		ret = (last >> PAGE_SHIFT) - (first >> PAGE_SHIFT) + 1;
	return ret;
}

static void odp_prefetch_put(struct odp_prefetch *prefetch)
{
	if (!refcount_dec_and_test(&prefetch->ref))
		return;
	odp_mirror_put(prefetch->mirror);
	kfree(prefetch);
}

static void odp_prefetch_work(struct work_struct *work)
{
	struct odp_prefetch *prefetch = container_of(work, struct odp_prefetch,
						     work);
	struct odp_mirror *mirror = prefetch->mirror;
	long ret = 0;

	while (prefetch->first <= prefetch->last && READ_ONCE(mirror->windows)) {
		ret = odp_prefetch_slot(prefetch,
					min(prefetch->last,
					    odp_slot_last(prefetch->first)));
		if (ret < 0)
			break;
		prefetch->first = (prefetch->first & PAGE_MASK) +
				  (ret << PAGE_SHIFT);
		cond_resched();
	}
	if (ret < 0)
		odp_count(mirror, ODP_COUNT_ERRORS);

	atomic_dec(&mirror->nprefetches);
	prefetch->error = min(ret, 0L);
	complete_all(&prefetch->done);
	odp_prefetch_put(prefetch);
}

/**
 * odp_prefetch_start - make memory usable before it is accessed
 * @window: the window; not needed any more when the call returns
 * @iova: where, as the device names it
 * @length: bytes, at least 1
 * @mode: what may be done to the owner's mm
 *
 * Context: process context, may sleep for memory.
 *
 * Return: the prefetch, for odp_prefetch_wait() or odp_prefetch_forget(); or
 * ERR_PTR(-EINVAL): @length is 0, or the range is not inside the window
 * ERR_PTR(-EFAULT): the range is not all in user space
 * ERR_PTR(-EAGAIN): the owner has too many prefetches running
 * ERR_PTR(-ENOMEM): no memory for the request
 */
struct odp_prefetch *odp_prefetch_start(struct odp_window *window, u64 iova,
					u64 length, enum odp_prefetch_mode mode)
{
	struct odp_mirror *mirror = window->mirror;
	struct odp_prefetch *prefetch;
	unsigned long va;

	if (!length || !odp_window_contains(window, iova, length))
		return ERR_PTR(-EINVAL);
	va = window->va + (iova - window->iova);
	if (va + length - 1 >= mirror->mm->task_size)
		return ERR_PTR(-EFAULT);

	prefetch = kzalloc_obj(*prefetch, GFP_KERNEL_ACCOUNT);
	if (!prefetch)
		return ERR_PTR(-ENOMEM);
	if (atomic_inc_return(&mirror->nprefetches) > ODP_PREFETCHES_MAX) {
		atomic_dec(&mirror->nprefetches);
		kfree(prefetch);
		return ERR_PTR(-EAGAIN);
	}

	INIT_WORK(&prefetch->work, odp_prefetch_work);
	refcount_set(&prefetch->ref, 2);
	odp_mirror_get(mirror);
	prefetch->mirror = mirror;
	prefetch->first = va;
	prefetch->last = va + length - 1;
	prefetch->mode = mode;
	init_completion(&prefetch->done);

	odp_count(mirror, ODP_COUNT_PREFETCHES);
	queue_work(odp_wq, &prefetch->work);
	return prefetch;
}
EXPORT_SYMBOL_GPL(odp_prefetch_start);

/**
 * odp_prefetch_wait - wait for the end of a prefetch
 * @prefetch: from odp_prefetch_start(); not valid any more afterwards
 *
 * Context: process context, sleeps as long as the faults take; a fatal signal
 * ends the wait, not the prefetch.
 *
 * Return: 0, or
 * -EFAULT: nothing is mapped in some of the range that may be accessed so, or
 *	the owner has exited; not with ODP_PREFETCH_PRESENT for what is merely
 *	absent
 * -EAGAIN, -ENOMEM: worth repeating
 * -EINTR: a fatal signal
 */
int odp_prefetch_wait(struct odp_prefetch *prefetch)
{
	int err = -EINTR;

	if (!wait_for_completion_killable(&prefetch->done))
		err = prefetch->error;
	odp_prefetch_put(prefetch);
	return err;
}
EXPORT_SYMBOL_GPL(odp_prefetch_wait);

/**
 * odp_prefetch_forget - let a prefetch run on its own
 * @prefetch: from odp_prefetch_start(); not valid any more afterwards
 *
 * Context: process context, may sleep.
 */
void odp_prefetch_forget(struct odp_prefetch *prefetch)
{
	odp_prefetch_put(prefetch);
}
EXPORT_SYMBOL_GPL(odp_prefetch_forget);
