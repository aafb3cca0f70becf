// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Mirrors: one per (owner, mm).
 *
 * All regions that a process registers on a device share one mirror, so that
 * ten thousand of them over one buffer hold one copy of its entries and one
 * notifier. The list is short (processes that use the device) and is walked
 * only when a region is registered, so it is a list.
 *
 * mirror->ref has one reference for "there are windows" and one for each fault
 * and prefetch in flight. A mirror stays on the list to its end: a registration
 * while an old fault is stuck in a frozen file system finds it again, and with
 * it the limits on what may be in flight.
 */
#include <linux/export.h>
#include <linux/memcontrol.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "mirror.h"

struct workqueue_struct *odp_wq;
struct workqueue_struct *odp_reclaim_wq;

static DEFINE_MUTEX(odp_mirrors_lock);
static LIST_HEAD(odp_mirrors);
static u32 odp_next_id;

/* Nothing is at stake, but the sequence has to go on. */
static bool odp_probe_invalidate(struct mmu_interval_notifier *notifier,
				 const struct mmu_notifier_range *range,
				 unsigned long sequence)
{
	mmu_interval_set_seq(notifier, sequence);
	return true;
}

static const struct mmu_interval_notifier_ops odp_probe_ops = {
	.invalidate = odp_probe_invalidate,
};

/*
 * The first interval notifier of an mm takes mmap_lock exclusive and every VMA's
 * lock. Here, in the process that registers memory, that is a short wait; in a
 * fault it could be a deadlock with a fault of the owner's. What is prepared
 * stays, so a later mirror of the same mm finds it done; mmu_notifier_register()
 * would take the locks each time.
 */
static int odp_mm_prepare(struct mm_struct *mm)
{
	struct mmu_interval_notifier probe = { };
	int err;

	err = mmu_interval_notifier_insert(&probe, mm, 0, PAGE_SIZE,
					   &odp_probe_ops);
	if (!err)
		mmu_interval_notifier_remove(&probe);
	return err;
}

static struct odp_mirror *odp_mirror_alloc(const void *owner,
					   const struct odp_device_ops *ops,
					   struct mm_struct *mm)
{
	struct odp_mirror *mirror;
	int err;

	err = odp_mm_prepare(mm);
	if (err)
		return ERR_PTR(err);

	mirror = kzalloc_obj(*mirror, GFP_KERNEL_ACCOUNT);
	if (!mirror)
		return ERR_PTR(-ENOMEM);

	/* For the first mirror of a user; otherwise it is freed again. */
	mirror->user = odp_user_create();
	if (!mirror->user) {
		kfree(mirror);
		return ERR_PTR(-ENOMEM);
	}
	kref_init(&mirror->ref);
	mirror->owner = owner;
	mirror->ops = ops;
	mirror->mm = mm;
	mmgrab(mm);
	mirror->pid = task_tgid_nr(current);
	xa_init_flags(&mirror->chunks, XA_FLAGS_ACCOUNT);
	init_llist_head(&mirror->retired);
	INIT_WORK(&mirror->reclaim, odp_chunks_reclaim);
	spin_lock_init(&mirror->faults_lock);
	INIT_LIST_HEAD(&mirror->faults);
	if (ops) {
		__module_get(ops->module);
		ops->get(owner);
	}
	/* Until it is released, so that rmmod says busy instead of waiting. */
	__module_get(THIS_MODULE);
	return mirror;
}

static void odp_mirror_free(struct odp_mirror *mirror)
{
	if (mirror->ops) {
		mirror->ops->put(mirror->owner);
		module_put(mirror->ops->module);
	}
	mmdrop(mirror->mm);
	odp_user_free(mirror->user);
	kfree(mirror);
	module_put(THIS_MODULE);
}

/*
 * Put a new mirror on the list. Returns a user to be freed: the new one's own, if
 * it is not his first.
 */
static struct odp_user *odp_mirror_add_locked(struct odp_mirror *mirror)
{
	struct odp_user *spare = NULL;
	struct odp_mirror *other;

	lockdep_assert_held(&odp_mirrors_lock);

	list_for_each_entry(other, &odp_mirrors, list) {
		if (!odp_user_is(other->user, mirror->user))
			continue;
		spare = mirror->user;
		mirror->user = other->user;
		break;
	}
	mirror->user->mirrors++;
	mirror->id = ++odp_next_id;
	list_add(&mirror->list, &odp_mirrors);
	return spare;
}

/* Also one without windows, while something is in flight: its limits last. */
static struct odp_mirror *
odp_mirror_find_locked(const void *owner, const struct odp_device_ops *ops,
		       struct mm_struct *mm)
{
	struct odp_mirror *mirror;

	lockdep_assert_held(&odp_mirrors_lock);

	list_for_each_entry(mirror, &odp_mirrors, list)
		if (mirror->owner == owner && mirror->ops == ops &&
		    mirror->mm == mm &&
		    (mirror->windows || kref_get_unless_zero(&mirror->ref)))
			return mirror;
	return NULL;
}

/**
 * odp_mirror_open - find or make the mirror of an mm, for one more window
 * @owner: the device
 * @ops: the driver's, or NULL; the same for each window of an owner
 * @mm: the address space
 *
 * Context: process context, may sleep. Takes odp_mirrors_lock, and mmap_lock
 * without it for the first mirror of @mm.
 *
 * Return: the mirror, or
 * ERR_PTR(-ENOMEM): no memory
 * ERR_PTR(-EINTR): a signal is pending, and it is the first mirror of @mm
 */
struct odp_mirror *odp_mirror_open(const void *owner,
				   const struct odp_device_ops *ops,
				   struct mm_struct *mm)
{
	struct odp_mirror *mirror, *new = NULL;
	struct odp_user *spare = NULL;

	/* For the first mirror, but said for each. */
	might_alloc(GFP_KERNEL);
	might_lock(&mm->mmap_lock);

	mutex_lock(&odp_mirrors_lock);
	mirror = odp_mirror_find_locked(owner, ops, mm);
	if (!mirror) {
		mutex_unlock(&odp_mirrors_lock);
		new = odp_mirror_alloc(owner, ops, mm);
		if (IS_ERR(new))
			return new;
		mutex_lock(&odp_mirrors_lock);
		mirror = odp_mirror_find_locked(owner, ops, mm);
	}
	if (!mirror) {
		mirror = new;
		new = NULL;
		spare = odp_mirror_add_locked(mirror);
	}
	WRITE_ONCE(mirror->windows, mirror->windows + 1);
	mutex_unlock(&odp_mirrors_lock);

	odp_user_free(spare);
	if (new)
		odp_mirror_free(new);
	return mirror;
}

/**
 * odp_mirror_close - a window of the mirror is gone
 * @mirror: the mirror
 * @totals: the device's, or NULL
 *
 * Does not wait for faults in flight: they hold the mirror, not the window. What
 * they still count is added when the mirror has had windows again.
 *
 * Context: process context, may sleep.
 */
void odp_mirror_close(struct odp_mirror *mirror, struct odp_totals *totals)
{
	bool last;
	int i;

	mutex_lock(&odp_mirrors_lock);
	WRITE_ONCE(mirror->windows, mirror->windows - 1);
	last = !mirror->windows;
	for (i = 0; last && totals && i < ODP_NR_COUNTERS; i++)
		totals->count[i] += atomic64_xchg(&mirror->count[i], 0);
	mutex_unlock(&odp_mirrors_lock);

	if (last)
		odp_mirror_put(mirror);
}

static void odp_mirror_release(struct kref *ref)
{
	struct odp_mirror *mirror = container_of(ref, struct odp_mirror, ref);

	mutex_lock(&odp_mirrors_lock);
	list_del(&mirror->list);
	if (--mirror->user->mirrors)
		mirror->user = NULL; /* another one's still */
	mutex_unlock(&odp_mirrors_lock);
	odp_chunks_destroy(mirror);
	odp_mirror_free(mirror);
}

/**
 * odp_charge_begin - have the owner's cgroup pay for what is allocated
 * @mirror: the mirror; its mm's users are held
 * @charge: out, for odp_charge_end()
 *
 * Context: process context; not nested.
 */
void odp_charge_begin(struct odp_mirror *mirror, struct odp_charge *charge)
{
	charge->memcg = get_mem_cgroup_from_mm(mirror->mm);
	charge->old = set_active_memcg(charge->memcg);
}

/**
 * odp_charge_may_sleep - whether who pays is made to wait for it
 *
 * Who charges a cgroup that is over its memory.high is put to sleep, for two
 * seconds at most, and that is meant for its own tasks. A kernel thread that
 * serves others as well would sleep in their place
 * (__mem_cgroup_handle_over_high() in mm/memcontrol.c).
 *
 * Context: process context, after odp_charge_begin().
 *
 * Return: true in a kernel thread if the cgroup is over one of its limits.
 */
bool odp_charge_may_sleep(void)
{
#ifdef CONFIG_MEMCG
	struct mem_cgroup *memcg = current->active_memcg;

	if (!(current->flags & PF_KTHREAD))
		return false;
	for (; memcg; memcg = parent_mem_cgroup(memcg))
		if (page_counter_read(&memcg->memory) >
			    READ_ONCE(memcg->memory.high) ||
		    page_counter_read(&memcg->swap) >
			    READ_ONCE(memcg->swap.high))
			return true;
#endif
	return false;
}

void odp_charge_end(struct odp_charge *charge)
{
	set_active_memcg(charge->old);
	mem_cgroup_put(charge->memcg);
}

void odp_mirror_get(struct odp_mirror *mirror)
{
	kref_get(&mirror->ref);
}

void odp_mirror_put(struct odp_mirror *mirror)
{
	kref_put(&mirror->ref, odp_mirror_release);
}

/**
 * odp_mirrors_each - call a function for every mirror
 * @fn: the function; may sleep, may not make or destroy windows
 * @context: passed to @fn
 *
 * Context: process context, may sleep. Holds odp_mirrors_lock.
 */
void odp_mirrors_each(void (*fn)(struct odp_mirror *mirror, void *context),
		      void *context)
{
	struct odp_mirror *mirror;

	mutex_lock(&odp_mirrors_lock);
	list_for_each_entry(mirror, &odp_mirrors, list)
		fn(mirror, context);
	mutex_unlock(&odp_mirrors_lock);
}

/**
 * odp_mirrors_try_each - the same for the shrinker, which may not wait
 * @fn: the function; may not sleep; false to stop. The next time begins with
 *	the mirror that it stopped at.
 * @context: passed to @fn
 *
 * Context: any that may take a mutex by a try.
 *
 * Return: false if the list is locked.
 */
bool odp_mirrors_try_each(bool (*fn)(struct odp_mirror *mirror, void *context),
			  void *context)
{
	struct odp_mirror *mirror;

	if (!mutex_trylock(&odp_mirrors_lock))
		return false;
	list_for_each_entry(mirror, &odp_mirrors, list) {
		if (fn(mirror, context))
			continue;
		list_rotate_to_front(&mirror->list, &odp_mirrors);
		break;
	}
	mutex_unlock(&odp_mirrors_lock);
	return true;
}

/**
 * odp_mirror_stats - read a mirror's counters
 * @mirror: the mirror, held by the caller
 * @stats: out
 *
 * Context: any. @stats->windows is read without its lock: a snapshot is all
 * that is promised.
 */
void odp_mirror_stats(struct odp_mirror *mirror, struct odp_mirror_stats *stats)
{
	long chunks = atomic_long_read(&mirror->nchunks);
	long leaves = atomic_long_read(&mirror->nleaves);
	int i;

	for (i = 0; i < ODP_NR_COUNTERS; i++)
		stats->count[i] = atomic64_read(&mirror->count[i]);
	stats->chunks = chunks;
	stats->pages = atomic_long_read(&mirror->npages);
	stats->table_bytes = chunks * odp_chunk_bytes(mirror) +
			     leaves * odp_leaf_bytes(mirror);
	stats->windows = READ_ONCE(mirror->windows);
}

/**
 * odp_device_count - read what all mirrors of a device counted
 * @owner: the device, as for odp_window_init()
 * @totals: what odp_window_destroy() left for it
 * @count: out, indexed by &enum odp_counter; none of them ever falls
 *
 * Context: process context, may sleep. Takes odp_mirrors_lock.
 */
void odp_device_count(const void *owner, const struct odp_totals *totals,
		      u64 count[ODP_NR_COUNTERS])
{
	struct odp_mirror *mirror;
	int i;

	mutex_lock(&odp_mirrors_lock);
	memcpy(count, totals->count, sizeof(totals->count));
	list_for_each_entry(mirror, &odp_mirrors, list) {
		if (mirror->owner != owner || !mirror->windows)
			continue;
		for (i = 0; i < ODP_NR_COUNTERS; i++)
			count[i] += atomic64_read(&mirror->count[i]);
	}
	mutex_unlock(&odp_mirrors_lock);
}
EXPORT_SYMBOL_GPL(odp_device_count);

static int __init odp_module_init(void)
{
	int err = -ENOMEM;

	odp_wq = alloc_workqueue("odp_mirror", WQ_UNBOUND, WQ_MAX_ACTIVE);
	if (!odp_wq)
		return -ENOMEM;

	odp_reclaim_wq = alloc_workqueue("odp_reclaim",
					 WQ_UNBOUND | WQ_MEM_RECLAIM, 0);
	if (!odp_reclaim_wq)
		goto err_wq;
	odp_share_init();
	err = odp_tables_init();
	if (err)
		goto err_reclaim_wq;
	err = odp_shrinker_init();
	if (err)
		goto err_tables;

	odp_debugfs_init();
	return 0;

err_tables:
	odp_tables_exit();
err_reclaim_wq:
	destroy_workqueue(odp_reclaim_wq);
err_wq:
	destroy_workqueue(odp_wq);
	return err;
}

static void __exit odp_module_exit(void)
{
	odp_debugfs_exit();
	odp_shrinker_exit();
	/* No mirror is left; a work item that put the last may still return. */
	destroy_workqueue(odp_wq);
	destroy_workqueue(odp_reclaim_wq);
	odp_tables_exit();
	WARN_ON(!list_empty(&odp_mirrors));
}

module_init(odp_module_init);
module_exit(odp_module_exit);

MODULE_DESCRIPTION("Mirror of a process address space for page-faulting devices");
MODULE_LICENSE("Dual BSD/GPL");
