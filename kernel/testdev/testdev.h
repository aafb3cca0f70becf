/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * The parts of the test device, and its locking.
 *
 *	device.c	the character device: open, close, commands
 *	window.c	windows
 *	access.c	read, write, flush, atomics, prefetch
 *	threads.c	kernel threads that access a window
 *	bench.c		what an access costs
 *	snapshot.c	what a mirror has and has done
 *	dma.c		windows that map for DMA, and the accounts of that
 *
 * The device shows what any user of the core would see: it does nothing that
 * needs more than linux/odp_mirror.h, but for the bare fault of the bench.
 *
 * Locks and life times
 * --------------------
 *
 * There is no lock but those of the two XArrays, and that of the accounts in
 * dma.c. An entry of one is a window or
 * a run with a reference; whoever looks one up takes another under the
 * XArray's lock, and the last one destroys it. A number is reserved before the
 * object is complete and stored when the caller knows it: until then look-up
 * finds nothing. Commands hold the file, so when it is released none is
 * running, and what is left are the XArrays' entries.
 */
#ifndef ODP_TEST_DEVICE_H
#define ODP_TEST_DEVICE_H

#include <linux/kref.h>
#include <linux/odp_mirror.h>
#include <linux/xarray.h>
#include <uapi/linux/odp_mirror_test.h>

/**
 * struct odp_test_device - an open file; the owner of its mirrors
 * @windows: &struct odp_test_window by number, from 1 on
 * @runs: &struct odp_test_run by number, from 1 on
 * @account: of its DMA mappings; the owner of the mirrors that have any
 */
struct odp_test_device {
	struct xarray windows;
	struct xarray runs;
	struct odp_test_account *account;
};

/**
 * struct odp_test_window - a window that user space has made
 * @window: the core's
 * @ref: one in odp_test_device.windows, one per command or run that uses it
 * @mm: the address space, held by mmgrab(); for the bare fault
 * @account: of the device, if accesses go through DMA addresses, else NULL
 */
struct odp_test_window {
	struct odp_window window;
	struct kref ref;
	struct mm_struct *mm;
	struct odp_test_account *account;
};

/**
 * struct odp_test_call - a command under way
 * @data: the caller's structure, extended with 0 to the size known here
 * @user: where it came from
 * @length: bytes of it to write back
 */
struct odp_test_call {
	union {
		struct odp_test_window_create create;
		struct odp_test_window_destroy destroy;
		struct odp_test_access access;
		struct odp_test_atomic atomic;
		struct odp_test_prefetch prefetch;
		struct odp_test_threads_start start;
		struct odp_test_threads threads;
		struct odp_test_bench bench;
		struct odp_test_snapshot snapshot;
		struct odp_test_stats stats;
		struct odp_test_dma_stats dma_stats;
	} data;
	void __user *user;
	size_t length;
};

/**
 * struct odp_test_patience - how long to repeat what is not possible yet
 * @deadline: in jiffies
 * @retries: repetitions so far
 */
struct odp_test_patience {
	unsigned long deadline;
	u32 retries;
};

/* device.c */
int odp_test_reply(const struct odp_test_call *call);

/* window.c */
int odp_test_window_create(struct odp_test_device *device,
			   struct odp_test_call *call);
int odp_test_window_destroy(struct odp_test_device *device,
			    struct odp_test_call *call);
struct odp_test_window *odp_test_window_get(struct odp_test_device *device,
					    u32 id);
void odp_test_window_put(struct odp_test_window *window);
bool odp_test_window_contains(const struct odp_test_window *window, u64 iova,
			      u64 length);
u64 odp_test_window_va(const struct odp_test_window *window, u64 iova);
void odp_test_windows_release(struct odp_test_device *device);

/* access.c */
int odp_test_read(struct odp_test_device *device, struct odp_test_call *call);
int odp_test_write(struct odp_test_device *device, struct odp_test_call *call);
int odp_test_flush(struct odp_test_device *device, struct odp_test_call *call);
int odp_test_atomic(struct odp_test_device *device, struct odp_test_call *call);
int odp_test_prefetch(struct odp_test_device *device,
		      struct odp_test_call *call);
int odp_test_read_once(struct odp_test_window *window, u64 iova, void *buffer,
		       size_t length, size_t intent);
int odp_test_write_once(struct odp_test_window *window, u64 iova,
			const void *buffer, size_t length, size_t intent);
struct odp_test_patience odp_test_patience(u32 timeout_ms);
bool odp_test_again(struct odp_test_patience *patience, int *err);
int odp_test_errno(int err);

/* threads.c */
int odp_test_threads_start(struct odp_test_device *device,
			   struct odp_test_call *call);
int odp_test_threads_count(struct odp_test_device *device,
			   struct odp_test_call *call);
int odp_test_threads_stop(struct odp_test_device *device,
			  struct odp_test_call *call);
void odp_test_runs_release(struct odp_test_device *device);

/* bench.c */
int odp_test_bench(struct odp_test_device *device, struct odp_test_call *call);

/* snapshot.c */
int odp_test_snapshot(struct odp_test_device *device,
		      struct odp_test_call *call);
int odp_test_stats(struct odp_test_device *device, struct odp_test_call *call);

/* dma.c */
extern const struct odp_device_ops odp_test_dma_ops;
struct odp_test_account *odp_test_account_open(void);
void odp_test_account_close(struct odp_test_account *account);
int odp_test_dma_read(struct odp_test_window *window, u64 iova, void *buffer,
		      size_t length, size_t intent);
int odp_test_dma_write(struct odp_test_window *window, u64 iova,
		       const void *buffer, size_t length, size_t intent);
int odp_test_dma_stats(struct odp_test_device *device,
		       struct odp_test_call *call);

#endif /* ODP_TEST_DEVICE_H */
