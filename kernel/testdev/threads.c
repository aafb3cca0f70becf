// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Threads that access a window, as many queue pairs of a device would.
 *
 * Each word has one right value for its address, so writers do not disturb each
 * other, and a reader knows what it must find whoever wrote last. A run is the
 * threads of one command. It is stopped by whoever takes it from the XArray,
 * and freed with its last reference.
 */
#include <linux/hrtimer.h>
#include <linux/kthread.h>
#include <linux/math64.h>
#include <linux/prandom.h>
#include <linux/slab.h>

#include "testdev.h"

/* What a thread does after an access that was not possible, in microseconds. */
#define ODP_TEST_BACKOFF_US	1000

#define ODP_TEST_THREADS_FLAGS \
	(ODP_TEST_THREADS_READ | ODP_TEST_THREADS_WRITE | \
	 ODP_TEST_THREADS_VERIFY | ODP_TEST_THREADS_ZERO)

/**
 * struct odp_test_thread - one of a run
 * @run: the run
 * @task: the thread; NULL before it is made
 * @random: where it goes next
 * @words: room for an access
 * @ok: see &struct odp_test_threads, also the following
 * @retries: see there
 * @faults: see there
 * @errors: see there
 * @mismatches: see there; what follows is complete when it is not 0
 * @bad_iova: see there
 * @bad_expected: see there
 * @bad_found: see there
 *
 * Written by the thread alone, and read while it runs.
 */
struct odp_test_thread {
	struct odp_test_run *run;
	struct task_struct *task;
	struct rnd_state random;
	u64 *words;
	u64 ok;
	u64 retries;
	u64 faults;
	u64 errors;
	u64 mismatches;
	u64 bad_iova;
	u64 bad_expected;
	u64 bad_found;
};

/**
 * struct odp_test_run - threads and what they do
 * @ref: one in odp_test_device.runs, one per command that looks at it
 * @window: held
 * @what: as it was asked for
 * @nthreads: number of @thread
 * @thread: the threads
 */
struct odp_test_run {
	struct kref ref;
	struct odp_test_window *window;
	struct odp_test_threads_start what;
	unsigned int nthreads;
	struct odp_test_thread thread[] __counted_by(nthreads);
};

static u64 odp_test_random(struct odp_test_thread *thread)
{
	return (u64)prandom_u32_state(&thread->random) << 32 |
	       prandom_u32_state(&thread->random);
}

/* A place for an access, at a multiple of 8. */
static u64 odp_test_place(struct odp_test_thread *thread)
{
	const struct odp_test_threads_start *what = &thread->run->what;
	u64 places = what->length / sizeof(u64) - what->nwords + 1;
	u64 place;

	div64_u64_rem(odp_test_random(thread), places, &place);
	return what->iova + place * sizeof(u64);
}

/* Whether each byte is as expected, or 0. */
static bool odp_test_is_partial(u64 found, u64 expected)
{
	unsigned int shift;

	for (shift = 0; shift < 64; shift += 8)
		if ((u8)(found >> shift) &&
		    (u8)(found >> shift) != (u8)(expected >> shift))
			return false;
	return true;
}

static void odp_test_verify(struct odp_test_thread *thread, u64 iova)
{
	const struct odp_test_threads_start *what = &thread->run->what;
	u64 expected, found;
	unsigned int i;

	for (i = 0; i < what->nwords; i++, iova += sizeof(u64)) {
		expected = ODP_TEST_WORD(what->seed, iova);
		found = thread->words[i];
		if (found == expected ||
		    (what->flags & ODP_TEST_THREADS_ZERO &&
		     odp_test_is_partial(found, expected)))
			continue;
		if (!thread->mismatches) {
			thread->bad_iova = iova;
			thread->bad_expected = expected;
			thread->bad_found = found;
		}
		/* Pairs with the acquire in odp_test_threads_sum(). */
		smp_store_release(&thread->mismatches, thread->mismatches + 1);
	}
}

static int odp_test_thread_write(struct odp_test_thread *thread, u64 iova)
{
	const struct odp_test_threads_start *what = &thread->run->what;
	size_t length = what->nwords * sizeof(u64);
	unsigned int i;

	for (i = 0; i < what->nwords; i++)
		thread->words[i] = ODP_TEST_WORD(what->seed,
						 iova + i * sizeof(u64));
	return odp_test_write_once(thread->run->window, iova, thread->words,
				   length, length);
}

static int odp_test_thread_read(struct odp_test_thread *thread, u64 iova)
{
	const struct odp_test_threads_start *what = &thread->run->what;
	size_t length = what->nwords * sizeof(u64);
	int err;

	err = odp_test_read_once(thread->run->window, iova, thread->words,
				 length, length);
	if (!err && what->flags & ODP_TEST_THREADS_VERIFY)
		odp_test_verify(thread, iova);
	return err;
}

static int odp_test_thread_access(struct odp_test_thread *thread)
{
	u32 flags = thread->run->what.flags;
	u64 iova = odp_test_place(thread);
	bool write = flags & ODP_TEST_THREADS_WRITE;

	if (write && flags & ODP_TEST_THREADS_READ)
		write = prandom_u32_state(&thread->random) & 1;
	return write ? odp_test_thread_write(thread, iova) :
		       odp_test_thread_read(thread, iova);
}

static void odp_test_thread_count(struct odp_test_thread *thread, int err)
{
	u64 *count;

	switch (err) {
	case 0:
		count = &thread->ok;
		break;
	case -EAGAIN:
	case -ENOMEM:
		count = &thread->retries;
		break;
	case -EFAULT:
		count = &thread->faults;
		break;
	default:
		count = &thread->errors;
		break;
	}
	WRITE_ONCE(*count, *count + 1);
}

/* Ends at once when the thread is to stop. */
static void odp_test_thread_pause(unsigned int microseconds)
{
	ktime_t time = us_to_ktime(microseconds);

	set_current_state(TASK_IDLE);
	if (!kthread_should_stop())
		schedule_hrtimeout(&time, HRTIMER_MODE_REL);
	__set_current_state(TASK_RUNNING);
}

static int odp_test_thread_run(void *context)
{
	struct odp_test_thread *thread = context;
	unsigned int pause;
	int err;

	while (!kthread_should_stop()) {
		err = odp_test_thread_access(thread);
		odp_test_thread_count(thread, err);
		pause = thread->run->what.pause_us;
		if (err)
			pause = max_t(unsigned int, pause, ODP_TEST_BACKOFF_US);
		if (pause)
			odp_test_thread_pause(pause);
		cond_resched();
	}
	return 0;
}

static void odp_test_run_stop(struct odp_test_run *run)
{
	unsigned int i;

	for (i = 0; i < run->nthreads; i++)
		if (run->thread[i].task)
			kthread_stop(run->thread[i].task);
}

static void odp_test_run_free(struct kref *ref)
{
	struct odp_test_run *run = container_of(ref, struct odp_test_run, ref);
	unsigned int i;

	for (i = 0; i < run->nthreads; i++)
		kfree(run->thread[i].words);
	odp_test_window_put(run->window);
	kfree(run);
}

static void odp_test_run_put(struct odp_test_run *run)
{
	kref_put(&run->ref, odp_test_run_free);
}

static int odp_test_thread_make(struct odp_test_run *run, unsigned int i)
{
	struct odp_test_thread *thread = &run->thread[i];
	struct task_struct *task;

	thread->run = run;
	prandom_seed_state(&thread->random, run->what.seed + i);
	thread->words = kmalloc_array(run->what.nwords, sizeof(u64),
				      GFP_KERNEL_ACCOUNT);
	if (!thread->words)
		return -ENOMEM;
	task = kthread_create(odp_test_thread_run, thread, "odp_test/%u", i);
	if (IS_ERR(task))
		return PTR_ERR(task);
	thread->task = task;
	return 0;
}

/* The threads are made, and wait. Takes over @window, also when it fails. */
static struct odp_test_run *
odp_test_run_make(struct odp_test_window *window,
		  const struct odp_test_threads_start *what)
{
	struct odp_test_run *run;
	unsigned int i;
	int err;

	run = kzalloc_flex(*run, thread, what->nthreads, GFP_KERNEL_ACCOUNT);
	if (!run) {
		odp_test_window_put(window);
		return ERR_PTR(-ENOMEM);
	}
	run->nthreads = what->nthreads;
	kref_init(&run->ref);
	run->window = window;
	run->what = *what;

	for (i = 0; i < run->nthreads; i++) {
		err = odp_test_thread_make(run, i);
		if (err) {
			odp_test_run_stop(run);
			odp_test_run_put(run);
			return ERR_PTR(err);
		}
	}
	return run;
}

static int odp_test_threads_check(const struct odp_test_threads_start *what)
{
	if (!what->nthreads || what->nthreads > ODP_TEST_THREADS_MAX ||
	    !what->nwords || what->nwords > ODP_TEST_WORDS_MAX ||
	    what->reserved)
		return -EINVAL;
	if (!IS_ALIGNED(what->iova | what->length, sizeof(u64)) ||
	    what->length / sizeof(u64) < what->nwords)
		return -EINVAL;
	if (what->flags & ~ODP_TEST_THREADS_FLAGS ||
	    !(what->flags & (ODP_TEST_THREADS_READ | ODP_TEST_THREADS_WRITE)))
		return -EINVAL;
	if (what->flags & ODP_TEST_THREADS_VERIFY &&
	    !(what->flags & ODP_TEST_THREADS_READ))
		return -EINVAL;
	if (what->flags & ODP_TEST_THREADS_ZERO &&
	    !(what->flags & ODP_TEST_THREADS_VERIFY))
		return -EINVAL;
	return 0;
}

/* Give the run a number, say so, and let it go. */
static int odp_test_run_publish(struct odp_test_device *device,
				struct odp_test_call *call,
				struct odp_test_run *run)
{
	unsigned int i;
	u32 id;
	int err;

	err = xa_alloc(&device->runs, &id, XA_ZERO_ENTRY, xa_limit_31b,
		       GFP_KERNEL_ACCOUNT);
	if (err)
		return err;
	call->data.start.run = id;
	err = odp_test_reply(call);
	if (err) {
		xa_erase(&device->runs, id);
		return err;
	}

	for (i = 0; i < run->nthreads; i++)
		wake_up_process(run->thread[i].task);
	/* Does not fail: the place is reserved. */
	xa_store(&device->runs, id, run, GFP_KERNEL_ACCOUNT);
	return 0;
}

/**
 * odp_test_threads_start - ODP_TEST_THREADS_START
 * @device: the device
 * @call: with &struct odp_test_threads_start
 *
 * Return: 0, or an errno as in the UAPI
 */
int odp_test_threads_start(struct odp_test_device *device,
			   struct odp_test_call *call)
{
	const struct odp_test_threads_start *what = &call->data.start;
	struct odp_test_window *window;
	struct odp_test_run *run;
	int err;

	err = odp_test_threads_check(what);
	if (err)
		return err;
	window = odp_test_window_get(device, what->window);
	if (!window)
		return -ENOENT;
	if (!odp_test_window_contains(window, what->iova, what->length)) {
		odp_test_window_put(window);
		return -ERANGE;
	}

	run = odp_test_run_make(window, what);
	if (IS_ERR(run))
		return PTR_ERR(run);
	err = odp_test_run_publish(device, call, run);
	if (err) {
		odp_test_run_stop(run);
		odp_test_run_put(run);
	}
	return err;
}

static void odp_test_threads_sum(const struct odp_test_run *run,
				 struct odp_test_threads *sum)
{
	const struct odp_test_thread *thread;
	u64 mismatches;
	unsigned int i;

	for (i = 0; i < run->nthreads; i++) {
		thread = &run->thread[i];
		sum->ok += READ_ONCE(thread->ok);
		sum->retries += READ_ONCE(thread->retries);
		sum->faults += READ_ONCE(thread->faults);
		sum->errors += READ_ONCE(thread->errors);
		/* Pairs with the release in odp_test_verify(). */
		mismatches = smp_load_acquire(&thread->mismatches);
		if (mismatches && !sum->mismatches) {
			sum->bad_iova = thread->bad_iova;
			sum->bad_expected = thread->bad_expected;
			sum->bad_found = thread->bad_found;
		}
		sum->mismatches += mismatches;
	}
}

static int odp_test_threads_end(struct odp_test_device *device,
				struct odp_test_call *call, bool stop)
{
	struct odp_test_threads *threads = &call->data.threads;
	u32 size = threads->size, id = threads->run;
	struct odp_test_run *run;

	*threads = (struct odp_test_threads) { .size = size, .run = id };
	xa_lock(&device->runs);
	run = xa_load(&device->runs, id);
	if (run && stop)
		__xa_erase(&device->runs, id);
	else if (run)
		kref_get(&run->ref);
	xa_unlock(&device->runs);
	if (!run)
		return -ENOENT;

	if (stop)
		odp_test_run_stop(run);
	odp_test_threads_sum(run, threads);
	odp_test_run_put(run);
	return 0;
}

/**
 * odp_test_threads_count - ODP_TEST_THREADS_COUNT
 * @device: the device
 * @call: with &struct odp_test_threads
 *
 * Return: 0, or -ENOENT
 */
int odp_test_threads_count(struct odp_test_device *device,
			   struct odp_test_call *call)
{
	return odp_test_threads_end(device, call, false);
}

/**
 * odp_test_threads_stop - ODP_TEST_THREADS_STOP
 * @device: the device
 * @call: with &struct odp_test_threads
 *
 * Waits for the access that each thread is in, which the core bounds.
 *
 * Return: 0, or -ENOENT
 */
int odp_test_threads_stop(struct odp_test_device *device,
			  struct odp_test_call *call)
{
	return odp_test_threads_end(device, call, true);
}

/**
 * odp_test_runs_release - stop what a device has running
 * @device: the device, without commands
 */
void odp_test_runs_release(struct odp_test_device *device)
{
	struct odp_test_run *run;
	unsigned long id;

	xa_for_each(&device->runs, id, run) {
		odp_test_run_stop(run);
		odp_test_run_put(run);
	}
	xa_destroy(&device->runs);
}
