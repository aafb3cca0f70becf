// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * On-Demand Paging memory regions of rxe, on the mirror core.
 *
 * A region is a window on the mirror of the process that registered it. rxe
 * checks keys, protection domain and access rights as for any region; the
 * window checks the range; the mirror has the pages. Explicit and implicit
 * regions differ in the window's bounds alone.
 *
 * Errors of the core become what the transport knows (IBTA 9.7.4.1, 9.9.3):
 * not yet: RNR NAK, or the packet is held; anything else: an access error.
 */
#include <linux/odp_mirror.h>
#include <linux/overflow.h>
#include <linux/sched/mm.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "rxe.h"

/* What a FLUSH writes back between two looks whether it should go on. */
#define RXE_ODP_FLUSH_PART	SZ_2M

/* How long a FLUSH goes on before its peer has to ask again: as for a fault. */
#define RXE_ODP_FLUSH_MS	40

/**
 * rxe_odp_mr_init_user - make a region an ODP region
 * @rxe: the device
 * @start: first address in the caller's address space
 * @length: bytes; 2^64 - 1 with @start 0 is the whole address space
 * @iova: first address as work requests and peers name it
 * @access_flags: IB_ACCESS_*
 * @mr: the region, in the pool, not visible yet
 *
 * Looks at nothing in the address space, hence takes the same time for any
 * length. What is not mapped fails when it is accessed.
 *
 * Context: process context of the owner, may sleep.
 *
 * Return: 0, or
 * -EINVAL: @length is 0, the range wraps, or an implicit region with an @iova
 * -EFAULT: an explicit range that is not all in user space
 * -ENOMEM: no memory
 * -ERESTARTNOINTR: a signal came first
 */
int rxe_odp_mr_init_user(struct rxe_dev *rxe, u64 start, u64 length,
			 u64 iova, int access_flags, struct rxe_mr *mr)
{
	bool implicit = !start && length == U64_MAX;
	struct rxe_odp *odp;
	u64 end;
	int err;

	rxe_mr_init(access_flags, mr);

	if (implicit && iova)
		return -EINVAL;
	if (!implicit) {
		if (check_add_overflow(start, length, &end))
			return -EINVAL;
		if (end > current->mm->task_size)
			return -EFAULT;
	}

	odp = kzalloc_obj(*odp, GFP_KERNEL_ACCOUNT);
	if (!odp)
		return -ENOMEM;
	err = odp_window_init(&odp->window, &rxe->ib_dev, NULL, current->mm,
			      iova, start, length);
	if (err) {
		kfree(odp);
		/* Nothing has happened yet: have the call made again. */
		return err == -EINTR ? -ERESTARTNOINTR : err;
	}

	odp->implicit = implicit;
	mr->odp = odp;
	mr->ibmr.length = length;
	mr->ibmr.iova = iova;
	mr->ibmr.type = IB_MR_TYPE_USER;
	mr->state = RXE_MR_STATE_VALID;
	return 0;
}

/**
 * rxe_odp_mr_release - the counterpart of rxe_odp_mr_init_user()
 * @mr: the region, without references left
 *
 * Does not wait for page faults. Does nothing for other regions.
 *
 * Context: process context, may sleep.
 */
void rxe_odp_mr_release(struct rxe_mr *mr)
{
	if (!mr->odp)
		return;
	odp_window_destroy(&mr->odp->window, &to_rdev(mr->ibmr.device)->odp_totals);
	kfree(mr->odp);
	mr->odp = NULL;
}

/**
 * rxe_odp_mr_stop - have long accesses to a region end
 * @mr: the region, which is being deregistered
 *
 * Does nothing for other regions.
 *
 * Context: process context.
 */
void rxe_odp_mr_stop(struct rxe_mr *mr)
{
	if (mr->odp)
		WRITE_ONCE(mr->odp->closing, true);
}

/* The core tells more errors apart than the transport does. */
static int rxe_odp_errno(int err)
{
	if (!err || rxe_odp_retryable(err) || err == -EINVAL)
		return err;
	return -EFAULT;
}

/**
 * rxe_mr_copy_ahead - copy to or from a region, as a part of something longer
 * @mr: the region
 * @iova: where
 * @addr: the other side, @length bytes
 * @length: bytes
 * @ahead: bytes from @iova on that this message is going to access; page
 *	faults are sized by it
 * @dir: which way
 *
 * Context: process context, may sleep.
 *
 * Return: 0, or
 * -EINVAL: not inside the region
 * -EFAULT: not accessible that way
 * -EAGAIN, -ENOMEM: rxe_odp_retryable(), ODP regions only
 */
int rxe_mr_copy_ahead(struct rxe_mr *mr, u64 iova, void *addr,
		      unsigned int length, u64 ahead, enum rxe_mr_copy_dir dir)
{
	struct odp_window *window;
	int err;

	/* No region: a peer or a user can bring that about, so no warning. */
	if (unlikely(!mr))
		return length ? -EINVAL : 0;
	if (!length || !is_odp_mr(mr))
		return rxe_mr_copy(mr, iova, addr, length, dir);

	window = &mr->odp->window;
	if (dir == RXE_TO_MR_OBJ)
		err = odp_window_write(window, iova, addr, length, ahead);
	else
		err = odp_window_read(window, iova, addr, length, ahead);
	return rxe_odp_errno(err);
}

/**
 * rxe_odp_mr_copy - copy to or from an ODP region
 * @mr: the region
 * @iova: where
 * @addr: the other side, @length bytes
 * @length: bytes
 * @dir: which way
 *
 * Context and return: as rxe_mr_copy_ahead().
 */
int rxe_odp_mr_copy(struct rxe_mr *mr, u64 iova, void *addr, int length,
		    enum rxe_mr_copy_dir dir)
{
	return rxe_mr_copy_ahead(mr, iova, addr, length, length, dir);
}

/* The responder's next state after an access to a region of 8 bytes. */
static enum resp_states rxe_odp_atomic_state(int err)
{
	err = rxe_odp_errno(err);
	if (!err)
		return RESPST_NONE;
	return rxe_odp_retryable(err) ? RESPST_ERR_RNR :
					RESPST_ERR_RKEY_VIOLATION;
}

/**
 * struct rxe_odp_atomic - an atomic operation, for its actor
 * @opcode: IB_OPCODE_RC_COMPARE_SWAP or IB_OPCODE_RC_FETCH_ADD
 * @compare: what a compare and swap expects
 * @swap_add: what it stores, or what is added
 * @original: out, the value before
 */
struct rxe_odp_atomic {
	int opcode;
	u64 compare;
	u64 swap_add;
	u64 original;
};

static int rxe_odp_atomic_actor(void *kaddr, size_t offset, size_t length,
				void *context)
{
	struct rxe_odp_atomic *atomic = context;
	u64 *target = kaddr;

	if (WARN_ON_ONCE(length != sizeof(*target)))
		return -EINVAL;
	/* A poisoned line ends the operation instead of the machine. */
	if (copy_mc_to_kernel(&atomic->original, target, sizeof(*target)))
		return -EFAULT;

	/* The lock that orders atomics on all regions of all rxe devices. */
	spin_lock_bh(&atomic_ops_lock);
	atomic->original = READ_ONCE(*target);
	if (atomic->opcode != IB_OPCODE_RC_COMPARE_SWAP)
		WRITE_ONCE(*target, atomic->original + atomic->swap_add);
	else if (atomic->original == atomic->compare)
		WRITE_ONCE(*target, atomic->swap_add);
	spin_unlock_bh(&atomic_ops_lock);
	return 0;
}

/**
 * rxe_odp_atomic_op - execute an atomic on an ODP region
 * @mr: the region
 * @iova: where; has to be a multiple of 8 (IBTA 9.4.5)
 * @opcode: IB_OPCODE_RC_COMPARE_SWAP or IB_OPCODE_RC_FETCH_ADD
 * @compare: what a compare and swap expects
 * @swap_add: what it stores, or what is added
 * @orig_val: out, the value before
 *
 * Context: process context, may sleep.
 *
 * Return: RESPST_NONE, or the responder's error state; RESPST_ERR_RNR if it is
 * worth repeating.
 */
enum resp_states rxe_odp_atomic_op(struct rxe_mr *mr, u64 iova, int opcode,
				   u64 compare, u64 swap_add, u64 *orig_val)
{
	struct rxe_odp_atomic atomic = {
		.opcode = opcode,
		.compare = compare,
		.swap_add = swap_add,
	};
	int err;

	if (unlikely(mr->state != RXE_MR_STATE_VALID))
		return RESPST_ERR_RKEY_VIOLATION;
	if (unlikely(!IS_ALIGNED(iova, sizeof(u64))))
		return RESPST_ERR_MISALIGNED_ATOMIC;

	err = odp_window_access(&mr->odp->window, iova, sizeof(u64),
				sizeof(u64), ODP_ACCESS_WRITE,
				rxe_odp_atomic_actor, &atomic);
	if (!err)
		*orig_val = atomic.original;
	return rxe_odp_atomic_state(err);
}

static int rxe_odp_store_actor(void *kaddr, size_t offset, size_t length,
			       void *context)
{
	u64 *value = context;

	if (WARN_ON_ONCE(length != sizeof(*value)))
		return -EINVAL;
	/* After everything that this queue pair stored before: IBTA A19.4.2. */
	smp_store_release((u64 *)kaddr, *value);
	return 0;
}

/**
 * rxe_odp_do_atomic_write - execute an ATOMIC WRITE on an ODP region
 * @mr: the region
 * @iova: where; has to be a multiple of 8 (IBTA A19.4.2)
 * @value: what to store
 *
 * Context: process context, may sleep.
 *
 * Return: as rxe_odp_atomic_op().
 */
enum resp_states rxe_odp_do_atomic_write(struct rxe_mr *mr, u64 iova, u64 value)
{
	int err;

	if (unlikely(!IS_ALIGNED(iova, sizeof(u64))))
		return RESPST_ERR_MISALIGNED_ATOMIC;

	err = odp_window_access(&mr->odp->window, iova, sizeof(u64),
				sizeof(u64), ODP_ACCESS_WRITE,
				rxe_odp_store_actor, &value);
	return rxe_odp_atomic_state(err);
}

/**
 * rxe_odp_flush_pmem_iova - make part of an ODP region persistent
 * @mr: the region
 * @iova: where
 * @length: bytes
 *
 * An implicit region as a whole is refused: an address space is never all
 * persistent memory, and success would claim that it was.
 *
 * Context: process context, may sleep.
 *
 * Return: 0, or an errno as rxe_mr_copy_ahead(); -EFAULT also for memory that
 * is not persistent.
 */
int rxe_odp_flush_pmem_iova(struct rxe_mr *mr, u64 iova, u64 length)
{
	if (mr->odp->implicit && length == mr->ibmr.length)
		return -EFAULT;
	return rxe_odp_errno(odp_window_flush_pmem(&mr->odp->window, iova,
						   length));
}

/* 0 to go on, or why not. @end: when it has been long enough, in jiffies. */
static int rxe_odp_may_flush(const struct rxe_qp *qp, const struct rxe_mr *mr,
			     unsigned long end)
{
	if (!READ_ONCE(qp->valid) || (mr->odp && READ_ONCE(mr->odp->closing)))
		return -EFAULT;
	return time_after(jiffies, end) ? -EAGAIN : 0;
}

/**
 * rxe_odp_flush - make part of a region persistent, for a FLUSH
 * @qp: the queue pair
 * @mr: the region
 * @iova: where
 * @length: bytes
 *
 * A whole region may be much. So the peer is told to come again while it takes
 * long, and then goes on where it was; and neither dereg nor destroy_qp nor a
 * reset waits for all of it.
 *
 * Context: process context, may sleep.
 *
 * Return: as rxe_odp_flush_pmem_iova(); -EFAULT also when the region or the
 * queue pair goes meanwhile, -EAGAIN also when there is more to do.
 */
int rxe_odp_flush(struct rxe_qp *qp, struct rxe_mr *mr, u64 iova, u64 length)
{
	unsigned long end = jiffies + msecs_to_jiffies(RXE_ODP_FLUSH_MS);
	u64 done = min(qp->resp.flushed, length);
	int err = 0;
	u64 part;

	qp->resp.flushed = 0;
	if (is_odp_mr(mr) && mr->odp->implicit && length == mr->ibmr.length)
		return -EFAULT;

	while (done < length) {
		part = min_t(u64, length - done, RXE_ODP_FLUSH_PART);
		err = rxe_odp_may_flush(qp, mr, end) ?:
		      rxe_flush_pmem_iova(mr, iova + done, part);
		if (err)
			break;
		done += part;
	}
	/* The next request is this one again. */
	if (rxe_odp_retryable(err))
		qp->resp.flushed = done;
	return err;
}

/*
 * The request is going to be repeated from its start: forget what it left for
 * its reply, so that neither is found for a replay nor an older one lost.
 */
static void rxe_odp_drop_resource(struct rxe_qp *qp)
{
	unsigned int head = qp->resp.res_head;

	if (!qp->resp.res)
		return;
	free_rd_atomic_resource(qp->resp.res);
	qp->resp.res = NULL;
	qp->resp.res_head = (head ?: qp->attr.max_dest_rd_atomic) - 1;
}

/*
 * Unreliable transports do not repeat: the message is lost, and the next one
 * begins where any may (IBTA 9.8.2.2.7). A receive request that the lost one
 * took from a shared queue is for the next.
 */
static void rxe_odp_drop_message(struct rxe_qp *qp)
{
	struct rxe_recv_wqe *wqe = qp->resp.wqe;

	qp->resp.opcode = -1;
	if (!wqe)
		return;
	wqe->dma.resid = wqe->dma.length;
	wqe->dma.cur_sge = 0;
	wqe->dma.sge_offset = 0;
	qp->resp.keep_wqe = true;
}

/**
 * rxe_odp_resp_error - the responder's next state after a failed access
 * @qp: the queue pair
 * @pkt: the request
 * @err: how the access failed
 * @state: the state for an access that is not legal
 *
 * Return: RESPST_ERR_RNR if the request is worth repeating, else @state.
 */
enum resp_states rxe_odp_resp_error(struct rxe_qp *qp, struct rxe_pkt_info *pkt,
				    int err, enum resp_states state)
{
	if (!rxe_odp_retryable(err))
		return state;
	if (qp_type(qp) != IB_QPT_RC) {
		rxe_odp_drop_message(qp);
		return RESPST_ERR_RNR;
	}
	/*
	 * A receive request that came with the packet has left the shared
	 * queue; the repeated packet must find it, not take another.
	 */
	if (pkt->mask & RXE_RWR_MASK)
		qp->resp.keep_wqe = true;
	rxe_odp_drop_resource(qp);
	rxe_hold_refuse(qp);
	return RESPST_ERR_RNR;
}

/**
 * rxe_odp_resp_state - the same where the failure is a state already
 * @qp: the queue pair
 * @state: what an atomic returned
 *
 * Return: @state
 */
enum resp_states rxe_odp_resp_state(struct rxe_qp *qp, enum resp_states state)
{
	if (state == RESPST_ERR_RNR) {
		rxe_odp_drop_resource(qp);
		rxe_hold_refuse(qp);
	}
	return state;
}

/**
 * rxe_odp_read_error - the responder's next state after a failed READ
 * @qp: the queue pair
 * @pkt: the request
 * @err: how the access failed
 *
 * A READ may fail in the middle, when part of the reply is out. The requester
 * resumes at the first byte that it has not received, with the PSN that this
 * byte had or would have had. If it has received all that was sent, that is a
 * new request; if not, a duplicate, for which the resource has to stay, with all
 * of its PSNs: a replay may yet send them.
 *
 * Return: RESPST_ERR_RNR if the request is worth repeating, else
 * RESPST_ERR_RKEY_VIOLATION.
 */
enum resp_states rxe_odp_read_error(struct rxe_qp *qp, struct rxe_pkt_info *pkt,
				    int err)
{
	struct resp_res *res = qp->resp.res;

	if (!rxe_odp_retryable(err))
		return RESPST_ERR_RKEY_VIOLATION;

	pkt->psn = res->cur_psn;
	if (!res->replay) {
		qp->resp.psn = res->cur_psn;
		/* Counted when the READ began, and again when it is repeated. */
		qp->resp.msn--;
	} else if (psn_compare(res->cur_psn, qp->resp.psn) > 0) {
		/* The replay went on behind what had been sent before. */
		qp->resp.psn = res->cur_psn;
	}
	if (res->replay || res->cur_psn != res->first_psn)
		qp->resp.res = NULL;
	else
		rxe_odp_drop_resource(qp);
	rxe_hold_refuse(qp);
	return RESPST_ERR_RNR;
}

/**
 * rxe_odp_recv_error - the responder's next state when a SEND cannot be stored
 * @qp: the queue pair
 * @pkt: the request
 * @err: from copy_data()
 *
 * Return: RESPST_ERR_RNR if it is worth repeating; RESPST_ERR_LENGTH if the
 * receive request is too short; else RESPST_COMPLETE, with what completes the
 * receive request in error: local protection error here, remote operational
 * error at the requester (IBTA 10.10.2.2, 9.9.3.1.6).
 */
enum resp_states rxe_odp_recv_error(struct rxe_qp *qp, struct rxe_pkt_info *pkt,
				    int err)
{
	struct rxe_dma_info *dma = &qp->resp.wqe->dma;

	if (err == -ENOSPC)
		return RESPST_ERR_LENGTH;

	if (rxe_odp_retryable(err)) {
		/* The first packet of a message may have stored a GRH. */
		if (pkt->mask & RXE_START_MASK) {
			dma->resid = dma->length;
			dma->cur_sge = 0;
			dma->sge_offset = 0;
		}
		return rxe_odp_resp_error(qp, pkt, err, RESPST_ERR_RNR);
	}

	qp->resp.aeth_syndrome = AETH_NAK_REM_OP_ERR;
	qp->resp.status = IB_WC_LOC_PROT_ERR;
	qp->resp.goto_error = 1;
	return RESPST_COMPLETE;
}

/*
 * Whatever is wrong with it is -EFAULT, says ibv_advise_mr(3): the key, the
 * rights, the range.
 */
static int rxe_odp_prefetch_sge(struct odp_prefetch *prefetch,
				struct rxe_pd *pd, int access,
				const struct ib_sge *sge)
{
	struct rxe_mr *mr;
	int err = -EFAULT;

	mr = lookup_mr(pd, access, sge->lkey, RXE_LOOKUP_LOCAL);
	if (!mr)
		return -EFAULT;
	if (is_odp_mr(mr))
		err = odp_prefetch_add(prefetch, &mr->odp->window, sge->addr,
				       sge->length);
	/* The prefetch holds the mirror: nothing below keeps dereg waiting. */
	rxe_put(mr);
	return err ? -EFAULT : 0;
}

static int rxe_odp_prefetch_sges(struct odp_prefetch *prefetch,
				 struct rxe_pd *pd, int access,
				 const struct ib_sge *sg_list, u32 num_sge)
{
	int err;
	u32 i;

	for (i = 0; i < num_sge; i++) {
		err = rxe_odp_prefetch_sge(prefetch, pd, access, &sg_list[i]);
		if (err)
			return err;
	}
	return odp_prefetch_start(prefetch);
}

/**
 * rxe_ib_advise_mr - ibv_advise_mr(3)
 * @ibpd: the protection domain of the regions
 * @advice: what is going to happen to the ranges
 * @flags: IB_UVERBS_ADVISE_MR_FLAG_FLUSH to wait for the end
 * @sg_list: the ranges
 * @num_sge: how many
 * @attrs: unused
 *
 * Nothing is done unless all of @sg_list is right. Then all of it is tried, and
 * what the first failure was is told with the flag only.
 *
 * Context: process context; sleeps with the flag, as long as the faults take
 * or until a fatal signal.
 *
 * Return: 0, or
 * -EOPNOTSUPP: an advice that is not known
 * -EFAULT: an lkey that is not of an ODP region of this protection domain, or
 *	not of a writable one for prefetch for writing; a range not inside the
 *	region or not in user space; with the flag also: not accessible
 * -EAGAIN: too many prefetches running
 * -ENOMEM: no memory
 */
int rxe_ib_advise_mr(struct ib_pd *ibpd,
		     enum ib_uverbs_advise_mr_advice advice, u32 flags,
		     struct ib_sge *sg_list, u32 num_sge,
		     struct uverbs_attr_bundle *attrs)
{
	struct odp_prefetch *prefetch;
	enum odp_prefetch_mode mode;
	int access = 0;
	int err;

	switch (advice) {
	case IB_UVERBS_ADVISE_MR_ADVICE_PREFETCH:
		mode = ODP_PREFETCH_READ;
		break;
	case IB_UVERBS_ADVISE_MR_ADVICE_PREFETCH_WRITE:
		mode = ODP_PREFETCH_WRITE;
		access = IB_ACCESS_LOCAL_WRITE;
		break;
	case IB_UVERBS_ADVISE_MR_ADVICE_PREFETCH_NO_FAULT:
		mode = ODP_PREFETCH_PRESENT;
		break;
	default:
		return -EOPNOTSUPP;
	}

	prefetch = odp_prefetch_create(num_sge, mode);
	if (IS_ERR(prefetch))
		return PTR_ERR(prefetch);
	err = rxe_odp_prefetch_sges(prefetch, to_rpd(ibpd), access, sg_list,
				    num_sge);
	if (!err && flags & IB_UVERBS_ADVISE_MR_FLAG_FLUSH)
		return odp_prefetch_wait(prefetch);
	odp_prefetch_forget(prefetch);
	return err;
}
