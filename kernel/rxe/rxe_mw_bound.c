// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Memory windows (MWs) that are bound, and what a peer reaches by one.
 *
 * An MW may be invalidated at any time, by its owner and by a peer, and its
 * region may go after that. So what is checked of an MW is checked under its
 * lock, all of it, and the region gets its reference before the lock is dropped.
 *
 * A bound MW keeps its region from being deregistered: it is one of the region's
 * num_mw. It does not keep its queue pair from being destroyed, which takes the
 * MWs in its list first; state_lock protects the list, and is taken inside the
 * MW's lock.
 */
#include "rxe.h"

/* The num_mw of a region that is being deregistered. */
#define RXE_MR_CLOSED	(-1)

/**
 * rxe_mr_close - have no MW bound to a region any more
 * @mr: the region
 *
 * Return: false if one is bound
 */
bool rxe_mr_close(struct rxe_mr *mr)
{
	return !atomic_cmpxchg(&mr->num_mw, 0, RXE_MR_CLOSED);
}

static void rxe_mw_drop_mr(struct rxe_mw *mw)
{
	struct rxe_mr *mr = mw->mr;

	mw->mr = NULL;
	if (!mr)
		return;
	atomic_dec(&mr->num_mw);
	rxe_put(mr);
}

/* False if the queue pair is being destroyed. */
static bool rxe_mw_join_qp(struct rxe_mw *mw, struct rxe_qp *qp)
{
	unsigned long flags;
	bool valid;

	spin_lock_irqsave(&qp->state_lock, flags);
	valid = qp->valid;
	if (valid)
		list_add(&mw->of_qp, &qp->mws);
	spin_unlock_irqrestore(&qp->state_lock, flags);
	if (!valid)
		return false;
	rxe_get(qp);
	mw->qp = qp;
	return true;
}

static void rxe_mw_leave_qp(struct rxe_mw *mw)
{
	struct rxe_qp *qp = mw->qp;
	unsigned long flags;

	mw->qp = NULL;
	if (!qp)
		return;
	spin_lock_irqsave(&qp->state_lock, flags);
	list_del(&mw->of_qp);
	spin_unlock_irqrestore(&qp->state_lock, flags);
	rxe_put(qp);
}

/**
 * rxe_mw_attach - bind an MW to its region and, if it is of type 2, queue pair
 * @qp: the queue pair that executes the request
 * @mw: the MW, locked; of type 1 it may be bound, and is no longer to the other
 *	region
 * @mr: the region, which the caller has a reference on; NULL for none
 *
 * Return: 0, or -EINVAL: the region or the queue pair is on its way out
 */
int rxe_mw_attach(struct rxe_qp *qp, struct rxe_mw *mw, struct rxe_mr *mr)
{
	if (mr && !atomic_inc_unless_negative(&mr->num_mw))
		return -EINVAL;
	if (mw->ibmw.type == IB_MW_TYPE_2 && !rxe_mw_join_qp(mw, qp)) {
		atomic_dec(&mr->num_mw);
		return -EINVAL;
	}
	rxe_mw_drop_mr(mw);
	if (mr)
		rxe_get(mr);
	mw->mr = mr;
	return 0;
}

/**
 * rxe_mw_release - have an MW let go of what it is bound to
 * @mw: the MW, locked, or without references left
 * @state: what it is then
 */
void rxe_mw_release(struct rxe_mw *mw, enum rxe_mw_state state)
{
	rxe_mw_drop_mr(mw);
	rxe_mw_leave_qp(mw);
	mw->access = 0;
	mw->addr = 0;
	mw->length = 0;
	mw->state = state;
}

/*
 * One of the MWs, with a reference. Those that are being deallocated have none
 * to give, and leave the list by themselves.
 */
static struct rxe_mw *rxe_any_mw(struct rxe_qp *qp)
{
	struct rxe_mw *found = NULL;
	unsigned long flags;
	struct rxe_mw *mw;

	spin_lock_irqsave(&qp->state_lock, flags);
	list_for_each_entry(mw, &qp->mws, of_qp) {
		if (rxe_get(mw)) {
			found = mw;
			break;
		}
	}
	spin_unlock_irqrestore(&qp->state_lock, flags);
	return found;
}

/**
 * rxe_unbind_mws - take the MWs from a queue pair
 * @qp: the queue pair, which is being destroyed; not valid any more
 *
 * An MW of type 2 that is bound to a queue pair keeps it, and destroying it
 * would wait for the MW's end. It is free again instead.
 *
 * Context: process context.
 */
void rxe_unbind_mws(struct rxe_qp *qp)
{
	struct rxe_mw *mw;

	while ((mw = rxe_any_mw(qp))) {
		spin_lock_bh(&mw->lock);
		if (mw->qp == qp)
			rxe_mw_release(mw, RXE_MW_STATE_FREE);
		spin_unlock_bh(&mw->lock);
		rxe_put(mw);
	}
}

/* Whether the key means this MW, for this queue pair, with these rights. */
static bool rxe_mw_permits(struct rxe_mw *mw, struct rxe_qp *qp, u32 rkey,
			   int access)
{
	return mw->rkey == rkey && mw->state == RXE_MW_STATE_VALID &&
	       mw->mr && mw->mr->state == RXE_MR_STATE_VALID &&
	       rxe_mw_pd(mw) == qp->pd && (access & ~mw->access) == 0 &&
	       (mw->ibmw.type == IB_MW_TYPE_1 || mw->qp == qp);
}

/* Whether the range is inside, by the addresses that peers use. */
static bool rxe_mw_covers(const struct rxe_mw *mw, u64 va, u64 length)
{
	u64 base = mw->access & IB_ZERO_BASED ? 0 : mw->addr;

	return va >= base && length <= mw->length &&
	       va - base <= mw->length - length;
}

/*
 * The region that a request reaches by an MW, with a reference, or NULL. The
 * range is as the peer names it; @length 0 is none. @offset is what the region
 * adds to the peer's addresses.
 */
static struct rxe_mr *rxe_mw_region(struct rxe_qp *qp, u32 rkey, int access,
				    u64 va, u64 length, u64 *offset)
{
	struct rxe_dev *rxe = to_rdev(qp->ibqp.device);
	struct rxe_mw *mw = rxe_pool_get_index(&rxe->mw_pool, rkey >> 8);
	struct rxe_mr *mr = NULL;

	if (!mw)
		return NULL;
	spin_lock_bh(&mw->lock);
	if (rxe_mw_permits(mw, qp, rkey, access) &&
	    (!length || rxe_mw_covers(mw, va, length))) {
		*offset = mw->access & IB_ZERO_BASED ? mw->addr : 0;
		mr = mw->mr;
		rxe_get(mr);
	}
	spin_unlock_bh(&mw->lock);
	rxe_put(mw);
	return mr;
}

/**
 * rxe_request_region - the region that a request reaches by a memory window
 * @qp: the queue pair; has the key, the address as the peer names it and what is
 *	left of the length, and gets the offset of a zero based window
 * @pkt: the request; a FLUSH of the whole region names no range
 * @access: the rights that it takes
 *
 * Context: the queue pair's receive task.
 *
 * Return: the region, with a reference; NULL if there is none, or not for this
 */
struct rxe_mr *rxe_request_region(struct rxe_qp *qp, struct rxe_pkt_info *pkt,
				  int access)
{
	bool whole = pkt->mask & RXE_FLUSH_MASK && feth_sel(pkt) == IB_FLUSH_MR;

	return rxe_mw_region(qp, qp->resp.rkey, access, qp->resp.va,
			     whole ? 0 : qp->resp.resid, &qp->resp.offset);
}

/**
 * rxe_read_region - the region of a READ that goes on, or is repeated
 * @qp: the queue pair
 * @res: what is remembered of the READ
 *
 * That it was permitted when it began says nothing: key, rights and protection
 * domain may have changed since, and what an MW is bound to.
 *
 * Context: the queue pair's receive task.
 *
 * Return: the region, with a reference; NULL if there is none, or not for this
 */
struct rxe_mr *rxe_read_region(struct rxe_qp *qp, const struct resp_res *res)
{
	u64 va = res->read.va - res->read.offset;
	struct rxe_mr *mr;
	u64 offset;

	if (!rkey_is_mw(res->read.rkey))
		return lookup_mr(qp->pd, IB_ACCESS_REMOTE_READ, res->read.rkey,
				 RXE_LOOKUP_REMOTE);
	mr = rxe_mw_region(qp, res->read.rkey, IB_ACCESS_REMOTE_READ, va,
			   res->read.resid, &offset);
	/* Bound elsewhere under the same key: what was read was another range. */
	if (mr && offset != res->read.offset) {
		rxe_put(mr);
		return NULL;
	}
	return mr;
}
