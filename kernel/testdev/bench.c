// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * What an access costs, in cycles, beside the least that it could cost.
 *
 * That is a bare fault: hmm_range_fault() into a private array, with an interval
 * notifier and the check that the core has to make too, and nothing else. Each
 * round is at another address, so that one command can take many cold pages;
 * making them cold is the caller's business.
 */
#include <linux/hmm.h>
#include <linux/mmu_notifier.h>
#include <linux/overflow.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include <linux/spinlock.h>
#include <linux/timex.h>
#include <linux/uaccess.h>
#ifdef CONFIG_X86
#include <asm/msr.h>
#include <asm/tsc.h>
#endif

#include "testdev.h"

/**
 * struct odp_test_bare - a mirror that mirrors nothing
 * @notifier: covers all rounds
 * @mm: the owner's; its users are held
 * @lock: orders @notifier's callback against the check of its sequence
 * @pfns: what hmm_range_fault() said last; one more for what does not begin at
 *	a page
 */
struct odp_test_bare {
	struct mmu_interval_notifier notifier;
	struct mm_struct *mm;
	spinlock_t lock; /* see above */
	unsigned long pfns[ODP_TEST_BARE_PAGES_MAX + 1];
};

/**
 * struct odp_test_meter - a bench under way
 * @window: held
 * @bench: what to do
 * @buffer: a page for the data
 * @source: another one, for what is copied without a mirror
 * @bare: for bare faults, or NULL
 */
struct odp_test_meter {
	struct odp_test_window *window;
	struct odp_test_bench *bench;
	void *buffer;
	void *source;
	struct odp_test_bare *bare;
};

static u64 odp_test_cycles(void)
{
#ifdef CONFIG_X86
	return rdtsc_ordered();
#else
	return get_cycles();
#endif
}

static bool odp_test_bare_invalidate(struct mmu_interval_notifier *notifier,
				     const struct mmu_notifier_range *range,
				     unsigned long sequence)
{
	struct odp_test_bare *bare = container_of(notifier,
						  struct odp_test_bare,
						  notifier);

	spin_lock(&bare->lock);
	mmu_interval_set_seq(notifier, sequence);
	spin_unlock(&bare->lock);
	return true;
}

static const struct mmu_interval_notifier_ops odp_test_bare_ops = {
	.invalidate = odp_test_bare_invalidate,
};

static bool odp_test_is_bare(const struct odp_test_bench *bench)
{
	return bench->op == ODP_TEST_BENCH_BARE_READ ||
	       bench->op == ODP_TEST_BENCH_BARE_WRITE;
}

/* From the first round's address to the end of the last round's access. */
static int odp_test_bench_span(const struct odp_test_bench *bench, u64 *span)
{
	u64 length = bench->length;

	if (odp_test_is_bare(bench))
		length = max(bench->intent, length);
	if (check_mul_overflow(bench->stride, (u64)bench->rounds - 1, span) ||
	    check_add_overflow(*span, length, span))
		return -ERANGE;
	return 0;
}

static struct odp_test_bare *
odp_test_bare_start(const struct odp_test_window *window, u64 va, u64 span)
{
	unsigned long first = round_down(va, PAGE_SIZE);
	struct odp_test_bare *bare;
	int err;

	if (va >= window->mm->task_size || span > window->mm->task_size - va)
		return ERR_PTR(-EACCES);
	bare = kzalloc_obj(*bare, GFP_KERNEL_ACCOUNT);
	if (!bare)
		return ERR_PTR(-ENOMEM);
	spin_lock_init(&bare->lock);
	bare->mm = window->mm;
	err = -EACCES;
	if (!mmget_not_zero(bare->mm))
		goto free;
	err = mmu_interval_notifier_insert(&bare->notifier, bare->mm, first,
					   round_up(va + span, PAGE_SIZE) - first,
					   &odp_test_bare_ops);
	if (err)
		goto put;
	return bare;

put:
	mmput(bare->mm);
free:
	kfree(bare);
	return ERR_PTR(err);
}

static void odp_test_bare_stop(struct odp_test_bare *bare)
{
	if (!bare)
		return;
	mmu_interval_notifier_remove(&bare->notifier);
	mmput(bare->mm);
	kfree(bare);
}

static int odp_test_bare_fault(struct odp_test_bare *bare, unsigned long va,
			       size_t length, bool write)
{
	struct hmm_range range = {
		.notifier = &bare->notifier,
		.start = round_down(va, PAGE_SIZE),
		.end = round_up(va + length, PAGE_SIZE),
		.hmm_pfns = bare->pfns,
		.default_flags = HMM_PFN_REQ_FAULT |
				 (write ? HMM_PFN_REQ_WRITE : 0),
	};
	bool again;
	int err;

	range.notifier_seq = mmu_interval_read_begin(range.notifier);
	mmap_read_lock(bare->mm);
	err = hmm_range_fault(&range);
	mmap_read_unlock(bare->mm);
	if (err)
		return err == -EBUSY ? -EAGAIN : err;

	spin_lock(&bare->lock);
	again = mmu_interval_read_retry(range.notifier, range.notifier_seq);
	spin_unlock(&bare->lock);
	return again ? -EAGAIN : 0;
}

static int odp_test_bench_try(const struct odp_test_meter *meter, u64 iova)
{
	struct odp_test_window *window = meter->window;
	const struct odp_test_bench *bench = meter->bench;

	switch (bench->op) {
	case ODP_TEST_BENCH_READ:
		return odp_test_read_once(window, iova, meter->buffer,
					  bench->length, bench->intent);
	case ODP_TEST_BENCH_WRITE:
		return odp_test_write_once(window, iova, meter->buffer,
					   bench->length, bench->intent);
	case ODP_TEST_BENCH_BARE_READ:
	case ODP_TEST_BENCH_BARE_WRITE:
		return odp_test_bare_fault(meter->bare,
					   odp_test_window_va(window, iova),
					   max_t(u64, bench->intent,
						 bench->length),
					   bench->op ==
					   ODP_TEST_BENCH_BARE_WRITE);
	case ODP_TEST_BENCH_COPY:
		memcpy(meter->buffer, meter->source, bench->length);
		return 0;
	default:
		return 0;
	}
}

static int odp_test_bench_rounds(const struct odp_test_meter *meter,
				 u64 *cycles)
{
	struct odp_test_bench *bench = meter->bench;
	struct odp_test_patience patience;
	u64 iova = bench->iova;
	unsigned int i;
	u64 begin;
	int err;

	for (i = 0; i < bench->rounds; i++, iova += bench->stride) {
		patience = odp_test_patience(bench->timeout_ms);
		begin = odp_test_cycles();
		do {
			err = odp_test_bench_try(meter, iova);
		} while (err && odp_test_again(&patience, &err));
		cycles[i] = odp_test_cycles() - begin;

		bench->retries += patience.retries;
		if (!err && fatal_signal_pending(current))
			err = -EINTR;
		if (err)
			return odp_test_errno(err);
		cond_resched();
	}
	return 0;
}

static int odp_test_compare_cycles(const void *a, const void *b)
{
	const u64 *left = a, *right = b;

	return *left < *right ? -1 : *left > *right;
}

static int odp_test_bench_conclude(struct odp_test_bench *bench, u64 *cycles)
{
	void __user *user = u64_to_user_ptr(bench->cycles);
	size_t bytes = array_size(bench->rounds, sizeof(*cycles));

	if (user && copy_to_user(user, cycles, bytes))
		return -EFAULT;
	sort(cycles, bench->rounds, sizeof(*cycles), odp_test_compare_cycles,
	     NULL);
	bench->minimum = cycles[0];
	bench->median = cycles[bench->rounds / 2];
	bench->maximum = cycles[bench->rounds - 1];
	return 0;
}

static int odp_test_bench_measure(struct odp_test_meter *meter)
{
	struct odp_test_bench *bench = meter->bench;
	u64 *cycles;
	int err;

	cycles = kvmalloc_array(bench->rounds, sizeof(*cycles),
				GFP_KERNEL_ACCOUNT);
	meter->buffer = kzalloc(PAGE_SIZE, GFP_KERNEL_ACCOUNT);
	meter->source = kzalloc(PAGE_SIZE, GFP_KERNEL_ACCOUNT);
	err = -ENOMEM;
	if (cycles && meter->buffer && meter->source)
		err = odp_test_bench_rounds(meter, cycles);
	if (!err)
		err = odp_test_bench_conclude(bench, cycles);
	kfree(meter->source);
	kfree(meter->buffer);
	kvfree(cycles);
	return err;
}

static int odp_test_bench_run(struct odp_test_meter *meter)
{
	struct odp_test_bench *bench = meter->bench;
	u64 span, va;
	int err;

	err = odp_test_bench_span(bench, &span);
	if (err)
		return err;
	if (!odp_test_window_contains(meter->window, bench->iova, span))
		return -ERANGE;

	if (odp_test_is_bare(bench)) {
		va = odp_test_window_va(meter->window, bench->iova);
		meter->bare = odp_test_bare_start(meter->window, va, span);
		if (IS_ERR(meter->bare))
			return PTR_ERR(meter->bare);
	}
	err = odp_test_bench_measure(meter);
	odp_test_bare_stop(meter->bare);
	return err;
}

static int odp_test_bench_check(const struct odp_test_bench *bench)
{
	if (bench->op > ODP_TEST_BENCH_COPY || bench->reserved ||
	    !bench->length || bench->length > PAGE_SIZE ||
	    !bench->rounds || bench->rounds > ODP_TEST_ROUNDS_MAX)
		return -EINVAL;
	if (odp_test_is_bare(bench) &&
	    max_t(u64, bench->intent, bench->length) >
	    ODP_TEST_BARE_PAGES_MAX * PAGE_SIZE)
		return -EINVAL;
	return 0;
}

/**
 * odp_test_bench - ODP_TEST_BENCH
 * @device: the device
 * @call: with &struct odp_test_bench
 *
 * Return: 0, or an errno as in the UAPI
 */
int odp_test_bench(struct odp_test_device *device, struct odp_test_call *call)
{
	struct odp_test_meter meter = { .bench = &call->data.bench };
	struct odp_test_bench *bench = meter.bench;
	int err;

	bench->minimum = 0;
	bench->median = 0;
	bench->maximum = 0;
	bench->retries = 0;
	err = odp_test_bench_check(bench);
	if (err)
		return err;
	meter.window = odp_test_window_get(device, bench->window);
	if (!meter.window)
		return -ENOENT;
	err = odp_test_bench_run(&meter);
	odp_test_window_put(meter.window);
	return err;
}
