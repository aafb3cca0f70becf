// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * What one user may have of what there is for all.
 *
 * A page that never comes keeps a worker for ever, and for a while the task that
 * asked for it, in any number of processes. No user may have more of either than
 * are free: however many processes one starts, the others find as many left as
 * that one has; and many users together leave a few to each.
 *
 * The user is who pays for it: those who live in user namespaces count as the
 * one who made the outermost, for he can be as many of them as he likes. What
 * root has made namespaces for are others than root, and each is one.
 */
#include <linux/cred.h>
#include <linux/slab.h>
#include <linux/topology.h>
#include <linux/user_namespace.h>

#include "mirror.h"

/* Of each; what a user has in any case, and all together at most. */
#define ODP_SHARE_MIN		4
static int odp_share_max;

static atomic_t odp_used[ODP_NR_SHARES];

/**
 * odp_share_init - find out how much there is
 *
 * A quarter of what the smallest node has of a workqueue's workers: they are
 * dealt out to nodes by their processors (wq_update_node_max_active() in
 * kernel/workqueue.c), and all the work may be on one.
 */
void odp_share_init(void)
{
	unsigned int smallest = num_online_cpus();
	unsigned int node;

	for_each_online_node(node)
		if (!cpumask_empty(cpumask_of_node(node)))
			smallest = min(smallest,
				       cpumask_weight(cpumask_of_node(node)));
	odp_share_max = max_t(int, ODP_SHARE_MIN, WQ_MAX_ACTIVE / 4 * smallest /
						  num_online_cpus());
}

/**
 * odp_user_create - who is to pay
 *
 * Context: process context of the user.
 *
 * Return: the user, or NULL: no memory.
 */
struct odp_user *odp_user_create(void)
{
	struct user_namespace *ns = current_user_ns();
	struct user_namespace *outermost = NULL;
	struct odp_user *user;

	user = kzalloc_obj(*user, GFP_KERNEL_ACCOUNT);
	if (!user)
		return NULL;
	user->id = current_uid();
	for (; ns != &init_user_ns; ns = ns->parent) {
		user->id = ns->owner;
		outermost = ns;
	}
	if (outermost && uid_eq(user->id, GLOBAL_ROOT_UID))
		user->ns = get_user_ns(outermost);
	return user;
}

/**
 * odp_user_free - the counterpart of odp_user_create()
 * @user: the user, or NULL
 *
 * Context: process context.
 */
void odp_user_free(struct odp_user *user)
{
	if (user)
		put_user_ns(user->ns);
	kfree(user);
}

/**
 * odp_user_is - whether two are one
 * @user: the one
 * @other: the other
 *
 * Context: any.
 */
bool odp_user_is(const struct odp_user *user, const struct odp_user *other)
{
	return uid_eq(user->id, other->id) && user->ns == other->ns;
}

/**
 * odp_share_take - one more for a user
 * @user: the user
 * @which: of what
 *
 * Context: any.
 *
 * Return: false if the user has as many as there are free; otherwise
 * odp_share_return() follows.
 */
bool odp_share_take(struct odp_user *user, enum odp_share which)
{
	int all = atomic_inc_return(&odp_used[which]);
	int own = atomic_inc_return(&user->used[which]);

	if (own <= odp_share_max - all || own <= ODP_SHARE_MIN)
		return true;
	odp_share_return(user, which);
	return false;
}

/**
 * odp_share_return - one less
 * @user: the user
 * @which: of what
 *
 * Context: any.
 */
void odp_share_return(struct odp_user *user, enum odp_share which)
{
	atomic_dec(&user->used[which]);
	atomic_dec(&odp_used[which]);
}
