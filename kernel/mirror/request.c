// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Faults that take long: requests in flight.
 *
 * A page fault may take as long as a file system stays frozen, and neither the
 * queue pair that hit it nor the process that deregisters the memory may be
 * stuck that long. So what cannot be had quickly is a request to a work item,
 * for which the caller waits a bounded time. The request goes on without him,
 * holding the mirror and, for its own length, the address space. A later access
 * to the same range finds the request, and waits for it only while it is young.
 */
#include <linux/completion.h>
#include <linux/jiffies.h>
#include <linux/slab.h>

#include "mirror.h"

/*
 * How old a request may be that an access waits for. Less than the shortest
 * time-out for an ACK that applications commonly use (14, that is 67 ms: IBTA
 * 9.7.6.1.3), so that the answer "not ready" gets out before the peer sends
 * again. What is older takes no task's time any more, however often it is asked
 * for.
 */
#define ODP_FAULT_WAIT_MS	40

/*
 * Faults that one mirror may have in flight, so that one process with memory
 * that never answers does not take all workers there are.
 */
#define ODP_REQUESTS_MAX	32

/*
 * How long an error that nobody waited for is kept for who asks again. Far longer
 * than a driver pauses between two attempts.
 */
#define ODP_ERROR_KEEP_MS	1000
#define ODP_ERROR_POLL_MS	20

/**
 * struct odp_request - a fault in flight
 * @work: runs it
 * @list: in odp_mirror.faults until it is done
 * @ref: one for the work item, one for each task that waits
 * @mirror: held
 * @tally: of the window that it was begun through; held
 * @first: first address; the error is about this one
 * @last: last address that would be good to have, in the same slot
 * @write: fault for writing
 * @begun: in jiffies
 * @chunk: kept as long as the request is on the list, or NULL
 * @sequence: of the slot, when the fault had failed
 * @failed: it ended, and @error is kept for who asks for the same; protected by
 *	odp_mirror.faults_lock
 * @heard: somebody did
 * @error: how it ended; valid after @done
 * @done: completed when it ended
 */
struct odp_request {
	struct work_struct work;
	struct list_head list;
	refcount_t ref;
	struct odp_mirror *mirror;
	struct odp_tally *tally;
	unsigned long first;
	unsigned long last;
	bool write;
	unsigned long begun;
	struct odp_chunk *chunk;
	u32 sequence;
	bool failed;
	bool heard;
	int error;
	struct completion done;
};

/* Until when somebody may wait for it. */
static unsigned long odp_request_end(const struct odp_request *request)
{
	return request->begun + msecs_to_jiffies(ODP_FAULT_WAIT_MS);
}

static void odp_request_put(struct odp_request *request)
{
	if (!refcount_dec_and_test(&request->ref))
		return;
	odp_tally_put(request->tally);
	odp_mirror_put(request->mirror);
	kfree(request);
}

/* Raised by everything that mm takes away from the place. */
static u32 odp_request_sequence(const struct odp_request *request)
{
	return READ_ONCE(odp_slot(request->chunk, request->first)->sequence);
}

/* How many pages are usable, or an errno. The mm is held. */
static long odp_request_fault(struct odp_request *request,
			      struct odp_outcome *outcome)
{
	struct odp_mirror *mirror = request->mirror;
	struct odp_chunk *chunk = request->chunk;

	if (!chunk)
		chunk = odp_chunk_keep(mirror, request->first);
	if (IS_ERR(chunk))
		return PTR_ERR(chunk);
	request->chunk = chunk;
	return odp_fault_slot(chunk, request->first, request->last,
			      request->write, ODP_FAULT_FULL, outcome);
}

/* 0, or an errno as for odp_fault_slot(). */
static int odp_request_run(struct odp_request *request)
{
	struct odp_outcome outcome = { };
	long ret;

	odp_count(request->mirror, ODP_COUNT_QUEUED);
	atomic64_inc(&request->tally->faults_queued);
	do {
		/* Not after exit: then there is nothing to fault in. */
		if (!odp_mm_get(request->mirror))
			return -EFAULT;
		outcome.frozen = NULL;
		ret = odp_request_fault(request, &outcome);
		odp_mm_put(request->mirror);
		if (!outcome.frozen)
			break;
		ret = odp_wait_for_thaw(request->mirror, outcome.frozen);
	} while (!ret);
	request->sequence = outcome.sequence;
	odp_tally_fault(request->tally, ret);
	return min(ret, 0L);
}

/*
 * Take the request off the list. But if it failed and took so long that nobody
 * waits for it any more, whoever asks again would have it done again, and if it
 * fails as slowly each time, would never hear of it. What fails at once is done
 * again: it may have been right to fail only then, as behind the end of a file
 * that has grown since.
 */
static bool odp_request_remove(struct odp_request *request, int err)
{
	struct odp_mirror *mirror = request->mirror;

	spin_lock(&mirror->faults_lock);
	request->failed = !request->failed && err && err != -EAGAIN &&
			  err != -ENOMEM && request->chunk &&
			  time_after_eq(jiffies, odp_request_end(request)) &&
			  refcount_read(&request->ref) == 1;
	if (!request->failed)
		list_del(&request->list);
	spin_unlock(&mirror->faults_lock);
	return !request->failed;
}

static void odp_request_keep_error(struct odp_request *request)
{
	unsigned long end = jiffies + msecs_to_jiffies(ODP_ERROR_KEEP_MS);

	while (!READ_ONCE(request->heard) && time_before(jiffies, end) &&
	       READ_ONCE(request->mirror->windows) &&
	       odp_request_sequence(request) == request->sequence)
		schedule_timeout_idle(msecs_to_jiffies(ODP_ERROR_POLL_MS));
}

static void odp_request_work(struct work_struct *work)
{
	struct odp_request *request = container_of(work, struct odp_request,
						   work);
	struct odp_mirror *mirror = request->mirror;
	bool removed;
	int err;

	err = odp_request_run(request);
	if (err)
		odp_count(mirror, ODP_COUNT_ERRORS);

	request->error = err;
	removed = odp_request_remove(request, err);
	complete_all(&request->done);
	if (!removed) {
		odp_request_keep_error(request);
		odp_request_remove(request, err);
	}
	if (request->chunk)
		odp_chunk_release(request->chunk);
	odp_share_return(mirror->user, ODP_SHARE_WORKS);
	odp_request_put(request);
}

/* Whether what the request brings is what is wanted. */
static bool odp_request_covers(const struct odp_request *request,
			       unsigned long first, bool write)
{
	if (request->failed)
		return request->first >> PAGE_SHIFT == first >> PAGE_SHIFT &&
		       request->write == write &&
		       odp_request_sequence(request) == request->sequence;
	return request->first <= first && first <= request->last &&
	       (request->write || !write);
}

/*
 * The request under way that will have the page, NULL if there may be a new one,
 * or ERR_PTR(-EAGAIN) if there are too many.
 */
static struct odp_request *odp_request_find_locked(struct odp_mirror *mirror,
						   unsigned long first,
						   bool write)
{
	struct odp_request *request;
	int n = 0;

	lockdep_assert_held(&mirror->faults_lock);

	list_for_each_entry(request, &mirror->faults, list) {
		if (odp_request_covers(request, first, write))
			return request;
		n++;
	}
	if (n >= ODP_REQUESTS_MAX ||
	    !odp_share_take(mirror->user, ODP_SHARE_WORKS))
		return ERR_PTR(-EAGAIN);
	return NULL;
}

/* Join the request that covers @first, or start one. Takes a reference. */
static struct odp_request *odp_request_get(struct odp_window *window,
					   unsigned long first,
					   unsigned long last, bool write)
{
	struct odp_mirror *mirror = window->mirror;
	struct odp_request *request, *new;

	new = kzalloc_obj(*new, GFP_KERNEL);
	if (!new)
		return ERR_PTR(-ENOMEM);
	INIT_WORK(&new->work, odp_request_work);
	refcount_set(&new->ref, 2);
	new->mirror = mirror;
	new->first = first;
	new->last = last;
	new->write = write;
	new->begun = jiffies;
	init_completion(&new->done);

	spin_lock(&mirror->faults_lock);
	request = odp_request_find_locked(mirror, first, write);
	if (!request) {
		odp_mirror_get(mirror);
		new->tally = odp_tally_get(window->tally);
		list_add_tail(&new->list, &mirror->faults);
	} else if (!IS_ERR(request)) {
		refcount_inc(&request->ref);
	}
	spin_unlock(&mirror->faults_lock);

	if (request) {
		kfree(new);
		return request;
	}
	queue_work(odp_wq, &new->work);
	return new;
}

/* Whether the request has ended, in time. */
static bool odp_request_wait(struct odp_request *request)
{
	unsigned long end = odp_request_end(request);
	struct odp_user *user = request->mirror->user;
	unsigned long now = jiffies;
	bool done;

	if (time_after_eq(now, end) ||
	    !odp_share_take(user, ODP_SHARE_WAITERS))
		return completion_done(&request->done);
	done = wait_for_completion_timeout(&request->done, end - now);
	odp_share_return(user, ODP_SHARE_WAITERS);
	return done;
}

static int odp_request_and_wait(struct odp_window *window, unsigned long first,
				unsigned long last, bool write)
{
	struct odp_request *request;
	int err = -EAGAIN;

	request = odp_request_get(window, first, last, write);
	if (IS_ERR(request))
		return PTR_ERR(request);
	if (odp_request_wait(request))
		err = request->error;
	if (err != -EAGAIN)
		WRITE_ONCE(request->heard, true);
	/* The error of a request that began elsewhere, or to write, is not ours. */
	if (err != -EAGAIN &&
	    (request->first >> PAGE_SHIFT != first >> PAGE_SHIFT ||
	     request->write != write))
		err = 0;
	odp_request_put(request);
	return err;
}

/*
 * Have the owner's memory looked at and, if that is quickly done, faulted in.
 * Makes the chunk if the caller has none. @usable: out; how many pages from
 * @first on are usable, or an errno; -EAGAIN to have it done by a request.
 * Returns the chunk, kept.
 */
static struct odp_chunk *odp_fault_quickly(struct odp_mirror *mirror,
					   struct odp_chunk *chunk,
					   unsigned long first,
					   unsigned long last, bool write,
					   long *usable)
{
	struct odp_outcome outcome;

	*usable = -EFAULT;
	if (!odp_mm_get(mirror))
		return chunk ?: ERR_PTR(-EFAULT);

	if (!chunk)
		chunk = odp_chunk_keep(mirror, first);
	if (!IS_ERR(chunk))
		*usable = odp_fault_slot(chunk, first, last, write,
					 ODP_FAULT_QUICK, &outcome);
	odp_mm_put(mirror);
	return chunk;
}

/* 0, or an errno as for odp_fault(). @chunk: in and out, kept. */
static int odp_fault_kept(struct odp_window *window, struct odp_chunk **chunk,
			  unsigned long first, unsigned long last, bool write)
{
	struct odp_mirror *mirror = window->mirror;
	struct odp_chunk *found;
	long usable;

	if (first >= mirror->mm->task_size)
		return -EFAULT;
	last = min3(last, odp_slot_last(first), mirror->mm->task_size - 1);

	found = odp_fault_quickly(mirror, *chunk, first, last, write, &usable);
	if (IS_ERR(found))
		return PTR_ERR(found);
	*chunk = found;
	if (usable == -EAGAIN)
		return odp_request_and_wait(window, first, last, write);
	odp_tally_fault(window->tally, usable);
	if (usable < 0)
		odp_count(mirror, ODP_COUNT_ERRORS);
	return min(usable, 0L);
}

/**
 * odp_fault - make pages usable
 * @window: the window that they are accessed through
 * @chunk: the chunk that @first is in, kept; or NULL if there is none
 * @first: first address
 * @last: last address that the caller is going to need
 * @write: for writing
 *
 * Makes progress from @first on, and not further than the 2 MiB that @first is
 * in: the caller looks again at what it has. Waits for a fault that takes long
 * until that is ODP_FAULT_WAIT_MS old, and besides for invalidations that are
 * under way in the same chunk, and for others that overlap with these.
 *
 * Context: process context, may sleep; no chunk is locked.
 *
 * Return: the chunk, kept, so that it is there still when the caller wants what
 * came; or, and then @chunk is released,
 * ERR_PTR(-EFAULT): nothing is mapped at @first that may be accessed so, or the
 *	process is gone
 * ERR_PTR(-ENOMEM): no memory; worth trying again
 * ERR_PTR(-EAGAIN): not resolved yet; try again
 * or what &odp_device_ops.map said.
 */
struct odp_chunk *odp_fault(struct odp_window *window, struct odp_chunk *chunk,
			    unsigned long first, unsigned long last, bool write)
{
	int err;

	err = odp_fault_kept(window, &chunk, first, last, write);
	if (!err)
		return chunk;
	if (chunk)
		odp_chunk_release(chunk);
	return ERR_PTR(err);
}
