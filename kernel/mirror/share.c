// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * What one user may have of what there is for all.
 *
 * A page that never comes keeps a worker for ever, and for a while the task that
 * asked for it, in any number of processes. No user may have more of either than
 * are free: however many processes one starts, the others find as many left as
 * that one has.
 *
 * The user is who pays for it: those who live in user namespaces count as the
 * one who made the outermost, for he can be as many of them as he likes.
 */
#include <linux/cred.h>
#include <linux/user_namespace.h>

#include "mirror.h"

/* Of each. A fraction of the workers that a workqueue can have. */
#define ODP_SHARE_MAX		(WQ_MAX_ACTIVE / 4)

static atomic_t odp_used[ODP_NR_SHARES];

/**
 * odp_user_id - who is to pay
 *
 * Context: process context of the user.
 *
 * Return: the uid, as the initial user namespace has it.
 */
kuid_t odp_user_id(void)
{
	struct user_namespace *ns = current_user_ns();
	kuid_t uid = current_uid();

	for (; ns != &init_user_ns; ns = ns->parent)
		uid = ns->owner;
	return uid;
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

	if (atomic_inc_return(&user->used[which]) <= ODP_SHARE_MAX - all)
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
