// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Prefetch: faults ahead of the accesses that would take them.
 *
 * A prefetch is a work item that walks its ranges slot by slot. It holds the
 * mirrors, not the windows: the regions that it was asked for may be
 * deregistered while it waits for a disk or a frozen file system, and whoever
 * waits for it can be killed. It leaves the rest of a range when the window that
 * it was asked through is gone or the owner has exited.
 */
#include <linux/export.h>
#include <linux/overflow.h>
#include <linux/slab.h>

#include "mirror.h"

/* Prefetches that one mirror may have running: a bound for what a user queues. */
#define ODP_PREFETCHES_MAX	64

/**
 * struct odp_prefetch_range - a part of a prefetch
 * @mirror: held
 * @tally: of the window; held
 * @first: where it is
 * @last: last address
 */
struct odp_prefetch_range {
	struct odp_mirror *mirror;
	struct odp_tally *tally;
	unsigned long first;
	unsigned long last;
};

/**
 * struct odp_prefetch - a prefetch, being made or under way
 * @work: runs it
 * @ref: one for the work item, one for who made it
 * @mode: what may be done to the owner's mm
 * @error: how the first range that failed did; valid after @done
 * @done: completed when all ranges are behind
 * @nranges: entries of @range
 * @range: what to prefetch
 */
struct odp_prefetch {
	struct work_struct work;
	refcount_t ref;
	enum odp_prefetch_mode mode;
	int error;
	struct completion done;
	u32 nranges;
	struct odp_prefetch_range range[];
};

/*
 * How many pages from the range's first on nothing is mapped at, so that there is
 * nothing to look at either. The mm is held.
 */
static unsigned long odp_prefetch_hole(const struct odp_prefetch_range *range)
{
	struct mm_struct *mm = range->mirror->mm;
	unsigned long end = range->last + 1;
	struct vm_area_struct *vma;

	mmap_read_lock(mm);
	vma = find_vma_intersection(mm, range->first, end);
	if (vma)
		end = max(vma->vm_start, range->first & PAGE_MASK);
	mmap_read_unlock(mm);
	return (PAGE_ALIGN(end) >> PAGE_SHIFT) - (range->first >> PAGE_SHIFT);
}

/* The same as odp_prefetch_slot(), with the mm held. */
static long odp_prefetch_held(struct odp_prefetch_range *range,
			      enum odp_prefetch_mode mode, unsigned long last,
			      struct odp_outcome *outcome)
{
	bool fault = mode != ODP_PREFETCH_PRESENT;
	struct odp_chunk *chunk;
	unsigned long hole;
	long ret;

	hole = fault ? 0 : odp_prefetch_hole(range);
	if (hole)
		return hole;

	chunk = odp_chunk_keep(range->mirror, range->first);
	if (IS_ERR(chunk))
		return PTR_ERR(chunk);
	ret = odp_fault_slot(chunk, range->first, last,
			     mode == ODP_PREFETCH_WRITE,
			     fault ? ODP_FAULT_FULL : ODP_FAULT_LOOK, outcome);
	odp_chunk_release(chunk);
	if (ret > 0)
		atomic64_add(ret, &range->tally->pages_prefetched);
	/* Of what is merely present, all was seen that there is to see. */
	if (!fault && (ret >= 0 || ret == -EAGAIN))
		ret = (last >> PAGE_SHIFT) - (range->first >> PAGE_SHIFT) + 1;
	return ret;
}

/* As far as to @last, in one slot. How many pages are behind us, or an errno. */
static long odp_prefetch_slot(struct odp_prefetch_range *range,
			      enum odp_prefetch_mode mode, unsigned long last)
{
	struct odp_outcome outcome;
	long ret;

	do {
		/* For one slot only, so as not to delay exit for long. */
		if (!odp_mm_get(range->mirror))
			return -EFAULT;
		outcome.frozen = NULL;
		ret = odp_prefetch_held(range, mode, last, &outcome);
		odp_mm_put(range->mirror);
		if (!outcome.frozen)
			return ret;
		ret = odp_wait_for_thaw(range->mirror, outcome.frozen);
	} while (!ret);
	return ret;
}

/* 0, or how it failed. */
static int odp_prefetch_run(struct odp_prefetch_range *range,
			    enum odp_prefetch_mode mode)
{
	long ret;

	while (range->first <= range->last && !READ_ONCE(range->tally->closed)) {
		ret = odp_prefetch_slot(range, mode,
					min(range->last,
					    odp_slot_last(range->first)));
		if (ret < 0) {
			odp_count(range->mirror, ODP_COUNT_ERRORS);
			return ret;
		}
		range->first = (range->first & PAGE_MASK) + (ret << PAGE_SHIFT);
		cond_resched();
	}
	return 0;
}

static void odp_prefetch_put(struct odp_prefetch *prefetch)
{
	struct odp_prefetch_range *range = prefetch->range;

	if (!refcount_dec_and_test(&prefetch->ref))
		return;
	for (; range < prefetch->range + prefetch->nranges; range++) {
		odp_tally_put(range->tally);
		odp_mirror_put(range->mirror);
	}
	kvfree(prefetch);
}

static void odp_prefetch_work(struct work_struct *work)
{
	struct odp_prefetch *prefetch = container_of(work, struct odp_prefetch,
						     work);
	struct odp_mirror *mirror;
	int ret, err = 0;
	u32 i;

	for (i = 0; i < prefetch->nranges; i++) {
		ret = odp_prefetch_run(&prefetch->range[i], prefetch->mode);
		err = err ?: ret;
	}

	mirror = prefetch->range[0].mirror;
	atomic_dec(&mirror->nprefetches);
	odp_share_return(mirror->user, ODP_SHARE_WORKS);
	prefetch->error = err;
	complete_all(&prefetch->done);
	odp_prefetch_put(prefetch);
}

static bool odp_prefetch_take(struct odp_mirror *mirror)
{
	if (atomic_inc_return(&mirror->nprefetches) <= ODP_PREFETCHES_MAX &&
	    odp_share_take(mirror->user, ODP_SHARE_WORKS))
		return true;
	atomic_dec(&mirror->nprefetches);
	return false;
}

/**
 * odp_prefetch_create - begin to make memory usable before it is accessed
 * @nranges: how often odp_prefetch_add() may be called
 * @mode: what may be done to the owner's mm
 *
 * Context: process context, may sleep for memory.
 *
 * Return: the prefetch, for odp_prefetch_add() and odp_prefetch_start(), to be
 * released by odp_prefetch_wait() or odp_prefetch_forget(); or
 * ERR_PTR(-ENOMEM): no memory
 */
struct odp_prefetch *odp_prefetch_create(u32 nranges,
					 enum odp_prefetch_mode mode)
{
	struct odp_prefetch *prefetch;

	prefetch = kvzalloc(struct_size(prefetch, range, nranges),
			    GFP_KERNEL_ACCOUNT);
	if (!prefetch)
		return ERR_PTR(-ENOMEM);
	INIT_WORK(&prefetch->work, odp_prefetch_work);
	refcount_set(&prefetch->ref, 1);
	prefetch->mode = mode;
	init_completion(&prefetch->done);
	return prefetch;
}
EXPORT_SYMBOL_GPL(odp_prefetch_create);

/**
 * odp_prefetch_add - say what to prefetch
 * @prefetch: not started yet
 * @window: the window; not needed any more when the call returns
 * @iova: where, as the device names it
 * @length: bytes; 0 adds nothing
 *
 * Context: process context.
 *
 * Return: 0, or
 * -EINVAL: the range is not inside the window
 * -EFAULT: the range is not all in user space
 */
int odp_prefetch_add(struct odp_prefetch *prefetch, struct odp_window *window,
		     u64 iova, u64 length)
{
	struct odp_prefetch_range *range = &prefetch->range[prefetch->nranges];
	struct odp_mirror *mirror = window->mirror;
	unsigned long va = window->va + (iova - window->iova);

	if (!odp_window_contains(window, iova, length))
		return -EINVAL;
	if (!length)
		return 0;
	if (va + length - 1 >= mirror->mm->task_size)
		return -EFAULT;

	odp_mirror_get(mirror);
	range->mirror = mirror;
	range->tally = odp_tally_get(window->tally);
	range->first = va;
	range->last = va + length - 1;
	prefetch->nranges++;
	return 0;
}
EXPORT_SYMBOL_GPL(odp_prefetch_add);

/**
 * odp_prefetch_start - have a prefetch run
 * @prefetch: with all its ranges
 *
 * They are worked on one after the other, also when one fails.
 *
 * Context: process context.
 *
 * Return: 0, or
 * -EAGAIN: the process or its user has too many prefetches running
 */
int odp_prefetch_start(struct odp_prefetch *prefetch)
{
	struct odp_mirror *mirror;
	u32 i;

	if (!prefetch->nranges) {
		complete_all(&prefetch->done);
		return 0;
	}
	mirror = prefetch->range[0].mirror;
	if (!odp_prefetch_take(mirror))
		return -EAGAIN;
	for (i = 0; i < prefetch->nranges; i++)
		odp_count(prefetch->range[i].mirror, ODP_COUNT_PREFETCHES);
	refcount_inc(&prefetch->ref);
	queue_work(odp_wq, &prefetch->work);
	return 0;
}
EXPORT_SYMBOL_GPL(odp_prefetch_start);

/**
 * odp_prefetch_wait - wait for the end of a prefetch
 * @prefetch: started; not valid any more afterwards
 *
 * Context: process context, sleeps as long as the faults take; a fatal signal
 * ends the wait, not the prefetch.
 *
 * Return: 0, or how the first range that failed did:
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
 * odp_prefetch_forget - let a prefetch run on its own, or do without it
 * @prefetch: started or not; not valid any more afterwards
 *
 * Context: process context, may sleep.
 */
void odp_prefetch_forget(struct odp_prefetch *prefetch)
{
	odp_prefetch_put(prefetch);
}
EXPORT_SYMBOL_GPL(odp_prefetch_forget);
