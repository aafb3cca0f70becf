// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Windows, as user space makes them: by number, on one open file.
 */
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "testdev.h"

static int odp_test_window_check(struct odp_test_window_create *create)
{
	if (create->flags & ~(ODP_TEST_WINDOW_WHOLE | ODP_TEST_WINDOW_DMA) ||
	    create->reserved)
		return -EINVAL;
	if (create->flags & ODP_TEST_WINDOW_WHOLE) {
		if (create->iova || create->va || create->length)
			return -EINVAL;
		create->length = U64_MAX;
	}
	return 0;
}

static struct odp_test_window *
odp_test_window_alloc(const struct odp_test_device *device,
		      const struct odp_test_window_create *create)
{
	bool dma = create->flags & ODP_TEST_WINDOW_DMA;
	struct odp_test_window *window;
	int err;

	window = kzalloc_obj(*window, GFP_KERNEL_ACCOUNT);
	if (!window)
		return ERR_PTR(-ENOMEM);
	if (dma)
		window->account = device->account;
	err = odp_window_init(&window->window,
			      dma ? (const void *)device->account : device,
			      dma ? &odp_test_dma_ops : NULL, current->mm,
			      create->iova, create->va, create->length);
	if (err) {
		kfree(window);
		/* Nothing has happened yet: have the call made again. */
		return ERR_PTR(err == -EINTR ? -ERESTARTNOINTR : err);
	}
	kref_init(&window->ref);
	window->mm = current->mm;
	mmgrab(window->mm);
	return window;
}

/**
 * odp_test_window_create - ODP_TEST_WINDOW_CREATE
 * @device: the device
 * @call: with &struct odp_test_window_create
 *
 * Return: 0, -EINVAL, -ENOMEM or -EFAULT, as in the UAPI
 */
int odp_test_window_create(struct odp_test_device *device,
			   struct odp_test_call *call)
{
	struct odp_test_window_create reply = call->data.create;
	struct odp_test_window *window;
	u32 id;
	int err;

	err = odp_test_window_check(&call->data.create);
	if (err)
		return err;
	window = odp_test_window_alloc(device, &call->data.create);
	if (IS_ERR(window))
		return PTR_ERR(window);

	err = xa_alloc(&device->windows, &id, XA_ZERO_ENTRY, xa_limit_31b,
		       GFP_KERNEL_ACCOUNT);
	if (err)
		goto put;
	reply.window = id;
	call->data.create = reply;
	err = odp_test_reply(call);
	if (err)
		goto release_id;

	/* Does not fail: the place is reserved. */
	xa_store(&device->windows, id, window, GFP_KERNEL_ACCOUNT);
	return 0;

release_id:
	xa_erase(&device->windows, id);
put:
	odp_test_window_put(window);
	return err;
}

/**
 * odp_test_window_destroy - ODP_TEST_WINDOW_DESTROY
 * @device: the device
 * @call: with &struct odp_test_window_destroy
 *
 * Return: 0, or -ENOENT
 */
int odp_test_window_destroy(struct odp_test_device *device,
			    struct odp_test_call *call)
{
	u32 id = call->data.destroy.window;
	struct odp_test_window *window;

	/* Not xa_erase() alone: it would take a number that is reserved. */
	xa_lock(&device->windows);
	window = xa_load(&device->windows, id);
	if (window)
		__xa_erase(&device->windows, id);
	xa_unlock(&device->windows);

	if (!window)
		return -ENOENT;
	odp_test_window_put(window);
	return 0;
}

/**
 * odp_test_window_get - look a window up
 * @device: the device
 * @id: its number
 *
 * Return: the window with a reference, or NULL
 */
struct odp_test_window *odp_test_window_get(struct odp_test_device *device,
					    u32 id)
{
	struct odp_test_window *window;

	xa_lock(&device->windows);
	window = xa_load(&device->windows, id);
	if (window)
		kref_get(&window->ref);
	xa_unlock(&device->windows);
	return window;
}

static void odp_test_window_release(struct kref *ref)
{
	struct odp_test_window *window = container_of(ref,
						      struct odp_test_window,
						      ref);

	odp_window_destroy(&window->window, NULL);
	mmdrop(window->mm);
	kfree(window);
}

/**
 * odp_test_window_put - let go of a window
 * @window: the window
 *
 * Context: process context, may sleep.
 */
void odp_test_window_put(struct odp_test_window *window)
{
	kref_put(&window->ref, odp_test_window_release);
}

/**
 * odp_test_window_contains - whether a range is in a window
 * @window: the window
 * @iova: first address
 * @length: bytes
 *
 * The core looks for itself; this is for what is used over and over.
 *
 * Return: true if all of it is.
 */
bool odp_test_window_contains(const struct odp_test_window *window, u64 iova,
			      u64 length)
{
	const struct odp_window *bounds = &window->window;

	return iova >= bounds->iova && length <= bounds->length &&
	       iova - bounds->iova <= bounds->length - length;
}

/**
 * odp_test_window_va - where an address of a window is in its owner
 * @window: the window
 * @iova: the address
 *
 * Return: the address in the owner's mm.
 */
u64 odp_test_window_va(const struct odp_test_window *window, u64 iova)
{
	return window->window.va + (iova - window->window.iova);
}

/**
 * odp_test_windows_release - destroy what a device has left
 * @device: the device, without commands and runs
 */
void odp_test_windows_release(struct odp_test_device *device)
{
	struct odp_test_window *window;
	unsigned long id;

	xa_for_each(&device->windows, id, window)
		odp_test_window_put(window);
	xa_destroy(&device->windows);
}
