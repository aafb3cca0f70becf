// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Accesses on behalf of the caller.
 *
 * Data goes through a bounce buffer: the core's actors may not fault, and the
 * caller's buffer may be any memory, also what the window shows.
 */
#include <linux/sched/signal.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "testdev.h"

/* Bytes that are copied in one go. */
#define ODP_TEST_BOUNCE		SZ_64K

/* Bytes that are flushed between two looks for a signal. */
#define ODP_TEST_FLUSH_PART	SZ_2M

/**
 * odp_test_patience - begin to be patient
 * @timeout_ms: for how long; 0 is not at all
 *
 * Return: the patience, for odp_test_again().
 */
struct odp_test_patience odp_test_patience(u32 timeout_ms)
{
	return (struct odp_test_patience) {
		.deadline = jiffies + msecs_to_jiffies(timeout_ms),
	};
}

/**
 * odp_test_again - whether to repeat an access
 * @patience: since its first try
 * @err: in and out, what the core said; -EINTR after a fatal signal
 *
 * Context: process context, sleeps a little before it says yes.
 *
 * Return: true to repeat it; else *@err is how it ended.
 */
bool odp_test_again(struct odp_test_patience *patience, int *err)
{
	if (*err != -EAGAIN && *err != -ENOMEM)
		return false;
	if (fatal_signal_pending(current)) {
		*err = -EINTR;
		return false;
	}
	if (time_after_eq(jiffies, patience->deadline))
		return false;
	patience->retries++;
	schedule_timeout_killable(1);
	return true;
}

/**
 * odp_test_errno - what the UAPI calls an error of the core
 * @err: the core's
 *
 * EFAULT and EINVAL are about the caller's arguments there.
 *
 * Return: the errno for user space, negative, or 0.
 */
int odp_test_errno(int err)
{
	switch (err) {
	case -EFAULT:
		return -EACCES;
	case -EINVAL:
		return -ERANGE;
	default:
		return err;
	}
}

enum odp_test_direction {
	ODP_TEST_DO_READ,
	ODP_TEST_DO_WRITE,
	ODP_TEST_DO_FLUSH,
};

/**
 * odp_test_read_once - read through a window in the way that it was made for
 * @window: the window
 * @iova: as for odp_window_read(), also the following
 * @buffer: see there
 * @length: see there
 * @intent: see there
 *
 * Context: as for odp_window_read().
 *
 * Return: as odp_window_read().
 */
int odp_test_read_once(struct odp_test_window *window, u64 iova, void *buffer,
		       size_t length, size_t intent)
{
	if (window->account)
		return odp_test_dma_read(window, iova, buffer, length, intent);
	return odp_window_read(&window->window, iova, buffer, length, intent);
}

/**
 * odp_test_write_once - write through a window in the way that it was made for
 * @window: the window
 * @iova: as for odp_window_write(), also the following
 * @buffer: see there
 * @length: see there
 * @intent: see there
 *
 * Context: as for odp_window_write().
 *
 * Return: as odp_window_write().
 */
int odp_test_write_once(struct odp_test_window *window, u64 iova,
			const void *buffer, size_t length, size_t intent)
{
	if (window->account)
		return odp_test_dma_write(window, iova, buffer, length, intent);
	return odp_window_write(&window->window, iova, buffer, length, intent);
}

static int odp_test_once(struct odp_test_window *window,
			 const struct odp_test_access *access, void *bounce,
			 size_t n, enum odp_test_direction direction)
{
	u64 iova = access->iova + access->done;
	size_t intent = max(access->length, access->intent) - access->done;

	switch (direction) {
	case ODP_TEST_DO_READ:
		return odp_test_read_once(window, iova, bounce, n, intent);
	case ODP_TEST_DO_WRITE:
		return odp_test_write_once(window, iova, bounce, n, intent);
	default:
		return odp_window_flush_pmem(&window->window, iova, n);
	}
}

/* The next @n bytes. */
static int odp_test_piece(struct odp_test_window *window,
			  struct odp_test_access *access, void *bounce,
			  size_t n, enum odp_test_direction direction)
{
	struct odp_test_patience patience =
		odp_test_patience(access->timeout_ms);
	void __user *buffer = u64_to_user_ptr(access->buffer + access->done);
	int err;

	if (direction == ODP_TEST_DO_WRITE && copy_from_user(bounce, buffer, n))
		return -EFAULT;
	do {
		err = odp_test_once(window, access, bounce, n, direction);
	} while (odp_test_again(&patience, &err));
	access->retries += patience.retries;
	if (err)
		return odp_test_errno(err);
	if (direction == ODP_TEST_DO_READ && copy_to_user(buffer, bounce, n))
		return -EFAULT;
	return 0;
}

static int odp_test_pieces(struct odp_test_window *window,
			   struct odp_test_access *access,
			   enum odp_test_direction direction)
{
	size_t most = direction == ODP_TEST_DO_FLUSH ? ODP_TEST_FLUSH_PART :
						       ODP_TEST_BOUNCE;
	void *bounce = NULL;
	int err = 0;
	size_t n;

	most = min_t(u64, most, access->length);
	if (direction != ODP_TEST_DO_FLUSH) {
		bounce = kvmalloc(most, GFP_KERNEL_ACCOUNT);
		if (!bounce)
			return -ENOMEM;
	}
	while (access->done < access->length) {
		n = min_t(u64, most, access->length - access->done);
		err = odp_test_piece(window, access, bounce, n, direction);
		if (err)
			break;
		access->done += n;
		if (fatal_signal_pending(current)) {
			err = -EINTR;
			break;
		}
		cond_resched();
	}
	kvfree(bounce);
	return err;
}

static int odp_test_access(struct odp_test_device *device,
			   struct odp_test_access *access,
			   enum odp_test_direction direction)
{
	struct odp_test_window *window;
	int err = 0;

	access->retries = 0;
	access->done = 0;
	if (direction == ODP_TEST_DO_FLUSH && access->buffer)
		return -EINVAL;

	window = odp_test_window_get(device, access->window);
	if (!window)
		return -ENOENT;
	if (access->length)
		err = odp_test_pieces(window, access, direction);
	odp_test_window_put(window);
	return err;
}

/**
 * odp_test_read - ODP_TEST_READ
 * @device: the device
 * @call: with &struct odp_test_access
 *
 * Return: 0, or an errno as in the UAPI
 */
int odp_test_read(struct odp_test_device *device, struct odp_test_call *call)
{
	return odp_test_access(device, &call->data.access, ODP_TEST_DO_READ);
}

/**
 * odp_test_write - ODP_TEST_WRITE
 * @device: the device
 * @call: with &struct odp_test_access
 *
 * Return: 0, or an errno as in the UAPI
 */
int odp_test_write(struct odp_test_device *device, struct odp_test_call *call)
{
	return odp_test_access(device, &call->data.access, ODP_TEST_DO_WRITE);
}

/**
 * odp_test_flush - ODP_TEST_FLUSH
 * @device: the device
 * @call: with &struct odp_test_access
 *
 * Return: 0, or an errno as in the UAPI
 */
int odp_test_flush(struct odp_test_device *device, struct odp_test_call *call)
{
	return odp_test_access(device, &call->data.access, ODP_TEST_DO_FLUSH);
}

static int odp_test_atomic_actor(void *kaddr, size_t offset, size_t length,
				 void *context)
{
	struct odp_test_atomic *atomic = context;
	atomic64_t *target = kaddr;

	if (WARN_ON_ONCE(length != sizeof(*target)))
		return -EINVAL;
	if (atomic->op == ODP_TEST_FETCH_ADD)
		atomic->old = atomic64_fetch_add(atomic->operand, target);
	else
		atomic->old = atomic64_cmpxchg(target, atomic->compare,
					       atomic->operand);
	return 0;
}

/**
 * odp_test_atomic - ODP_TEST_ATOMIC
 * @device: the device
 * @call: with &struct odp_test_atomic
 *
 * Return: 0, or an errno as in the UAPI
 */
int odp_test_atomic(struct odp_test_device *device, struct odp_test_call *call)
{
	struct odp_test_atomic *atomic = &call->data.atomic;
	struct odp_test_patience patience =
		odp_test_patience(atomic->timeout_ms);
	struct odp_test_window *window;
	int err;

	atomic->old = 0;
	if (atomic->op > ODP_TEST_COMPARE_SWAP ||
	    (atomic->op == ODP_TEST_FETCH_ADD && atomic->compare))
		return -EINVAL;
	window = odp_test_window_get(device, atomic->window);
	if (!window)
		return -ENOENT;

	/* Aligned, so it is all in one page. */
	if (IS_ALIGNED(odp_test_window_va(window, atomic->iova), sizeof(u64))) {
		do {
			err = odp_window_access(&window->window, atomic->iova,
						sizeof(u64), sizeof(u64),
						ODP_ACCESS_WRITE,
						odp_test_atomic_actor, atomic);
		} while (odp_test_again(&patience, &err));
		err = odp_test_errno(err);
	} else {
		err = -EINVAL;
	}
	odp_test_window_put(window);
	return err;
}

static int odp_test_prefetch_run(struct odp_test_window *window,
				 const struct odp_test_prefetch *request)
{
	static const enum odp_prefetch_mode modes[] = {
		[ODP_TEST_PREFETCH_READ] = ODP_PREFETCH_READ,
		[ODP_TEST_PREFETCH_WRITE] = ODP_PREFETCH_WRITE,
		[ODP_TEST_PREFETCH_PRESENT] = ODP_PREFETCH_PRESENT,
	};
	struct odp_prefetch *prefetch;
	int err;

	if (!request->length)
		return -EINVAL;
	prefetch = odp_prefetch_create(1, modes[request->mode]);
	if (IS_ERR(prefetch))
		return PTR_ERR(prefetch);
	err = odp_prefetch_add(prefetch, &window->window, request->iova,
			       request->length);
	if (!err)
		err = odp_prefetch_start(prefetch);
	if (!err && request->flags & ODP_TEST_PREFETCH_WAIT)
		return odp_prefetch_wait(prefetch);
	odp_prefetch_forget(prefetch);
	return err;
}

/**
 * odp_test_prefetch - ODP_TEST_PREFETCH
 * @device: the device
 * @call: with &struct odp_test_prefetch
 *
 * Return: 0, or an errno as in the UAPI
 */
int odp_test_prefetch(struct odp_test_device *device,
		      struct odp_test_call *call)
{
	const struct odp_test_prefetch *request = &call->data.prefetch;
	struct odp_test_window *window;
	int err;

	if (!request->length || request->mode > ODP_TEST_PREFETCH_PRESENT ||
	    request->flags & ~ODP_TEST_PREFETCH_WAIT)
		return -EINVAL;
	window = odp_test_window_get(device, request->window);
	if (!window)
		return -ENOENT;
	err = odp_test_errno(odp_test_prefetch_run(window, request));
	odp_test_window_put(window);
	return err;
}
