// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Packets that wait for a page.
 *
 * A page may take as long as a file system stays frozen. The requester and the
 * completer keep the packet that needs it and let go of their worker; a timer
 * has them look again. The responder keeps nothing: its RNR NAK has the peer
 * send the packet again.
 *
 * Nobody says when the page is there. So the next look comes after as long as
 * the packet has waited so far, within bounds: what is there soon is soon found,
 * and what takes long costs little while it does.
 *
 * The peer goes on meanwhile. What it sends is kept in order behind the packet,
 * up to a limit, and what has been sent to it is repeated as ever.
 */
#include "rxe.h"

/* The longest pause between two looks. */
#define RXE_HOLD_MAX_MS		100

/* Packets of a queue: far more than a task falls behind where nothing is late. */
#define RXE_HOLD_MAX_PACKETS	4096

/* No packet has that number. */
#define RXE_HOLD_NO_PSN		U32_MAX

/* How long the responder tells its peer to wait, from IB_RNR_TIMER_010_24 on. */
static const u8 rxe_hold_rnr_ms[] = { 10, 15, 20, 30, 40, 61, 81, 122, 163, 245 };

/* How long the packet has been waiting, in jiffies. */
static unsigned long rxe_late_by(struct rxe_late *late, u32 psn)
{
	if (late->psn != psn) {
		late->psn = psn;
		late->since = jiffies;
	}
	return jiffies - late->since;
}

static void rxe_hold_timer(struct timer_list *timer)
{
	struct rxe_qp *qp = timer_container_of(qp, timer, hold.timer);
	unsigned long flags;

	if (!rxe_get(qp))
		return;
	spin_lock_irqsave(&qp->state_lock, flags);
	if (qp->valid)
		rxe_sched_task(&qp->send_task);
	spin_unlock_irqrestore(&qp->state_lock, flags);
	rxe_put(qp);
}

static void rxe_hold(struct rxe_qp *qp, struct rxe_late *late, u32 psn)
{
	unsigned long pause = clamp(rxe_late_by(late, psn), 1UL,
				    msecs_to_jiffies(RXE_HOLD_MAX_MS));

	/* Not later than the other packet's next look. */
	timer_reduce(&qp->hold.timer, jiffies + pause);
}

/**
 * rxe_hold_init - prepare a new queue pair
 * @qp: the queue pair
 *
 * Context: process context.
 */
void rxe_hold_init(struct rxe_qp *qp)
{
	timer_setup(&qp->hold.timer, rxe_hold_timer, 0);
	qp->hold.request.psn = RXE_HOLD_NO_PSN;
	qp->hold.response.psn = RXE_HOLD_NO_PSN;
	qp->hold.refused.psn = RXE_HOLD_NO_PSN;
	rxe_hold_restart(qp);
}

/**
 * rxe_hold_restart - forget what has been sent
 * @qp: the queue pair, which is going to send it again, or is reset
 *
 * Context: the queue pair's send task, or while that does not run.
 */
void rxe_hold_restart(struct rxe_qp *qp)
{
	qp->hold.is_requesting = false;
	qp->hold.due = RXE_HOLD_NO_PSN;
	WRITE_ONCE(qp->hold.has_dropped, false);
}

/**
 * rxe_hold_stop - have a queue pair's tasks drop what they hold
 * @qp: the queue pair, which is being destroyed
 *
 * A response that waits refers to the queue pair.
 *
 * Context: process context.
 */
void rxe_hold_stop(struct rxe_qp *qp)
{
	unsigned long flags;

	spin_lock_irqsave(&qp->state_lock, flags);
	qp->valid = 0;
	rxe_sched_task(&qp->recv_task);
	rxe_sched_task(&qp->send_task);
	spin_unlock_irqrestore(&qp->state_lock, flags);
}

/**
 * rxe_hold_destroy - the counterpart of rxe_hold_init()
 * @qp: the queue pair, without references left, so that no task of it holds
 *	anything any more; rxe_hold_init() may not have been called
 *
 * Context: process context, may sleep.
 */
void rxe_hold_destroy(struct rxe_qp *qp)
{
	if (qp->hold.timer.function)
		timer_delete_sync(&qp->hold.timer);
}

/* Free a packet and drop what its receiver holds for it. */
static void rxe_hold_drop(struct rxe_qp *qp, struct sk_buff *skb)
{
	struct ib_device *ibdev = qp->ibqp.device;

	kfree_skb(skb);
	rxe_put(qp);
	ib_device_put(ibdev);
}

/**
 * rxe_hold_drop_request - drop a request if there are too many
 * @qp: the queue pair
 * @skb: the request, with its references on the queue pair and the device
 *
 * A peer with a reliable connection sends it again.
 *
 * Context: any.
 *
 * Return: true if it is gone.
 */
bool rxe_hold_drop_request(struct rxe_qp *qp, struct sk_buff *skb)
{
	if (skb_queue_len_lockless(&qp->req_pkts) < RXE_HOLD_MAX_PACKETS)
		return false;
	rxe_hold_drop(qp, skb);
	return true;
}

/**
 * rxe_hold_drop_response - drop a response if there are too many
 * @qp: the queue pair
 * @skb: the response, with its references on the queue pair and the device
 *
 * The peer answers a long READ as fast as it can. rxe_hold_recover() asks again.
 *
 * Context: any.
 *
 * Return: true if it is gone.
 */
bool rxe_hold_drop_response(struct rxe_qp *qp, struct sk_buff *skb)
{
	if (skb_queue_len_lockless(&qp->resp_pkts) < RXE_HOLD_MAX_PACKETS)
		return false;
	WRITE_ONCE(qp->hold.has_dropped, true);
	/* The queue may be empty by now. */
	rxe_sched_task(&qp->send_task);
	rxe_hold_drop(qp, skb);
	return true;
}

/**
 * rxe_hold_recover - ask for the responses again that were dropped
 * @qp: the queue pair, whose completer has used up all others
 *
 * Not a retry that counts: the peer did nothing wrong.
 *
 * Context: the queue pair's send task.
 */
void rxe_hold_recover(struct rxe_qp *qp)
{
	if (!READ_ONCE(qp->hold.has_dropped))
		return;
	WRITE_ONCE(qp->hold.has_dropped, false);
	if (qp->req.psn != qp->comp.psn) {
		qp->req.need_retry = 1;
		qp->req.again = 1;
	}
}

/**
 * rxe_hold_request - have the requester come back to a request
 * @qp: the queue pair; the request is the one that is to be sent next
 * @err: how access to its data failed
 *
 * Context: the queue pair's send task.
 *
 * Return: true if it comes back; false if the request has failed.
 */
bool rxe_hold_request(struct rxe_qp *qp, int err)
{
	if (!rxe_odp_retryable(err))
		return false;
	qp->hold.is_requesting = true;
	/* The packet may have been the one that asks for an acknowledgment. */
	qp->req.noack_pkts = RXE_MAX_PKT_PER_ACK + 1;
	rxe_hold(qp, &qp->hold.request, qp->req.psn);
	return true;
}

/**
 * rxe_hold_sent - take note of a request that went out
 * @qp: the queue pair
 *
 * Context: the queue pair's send task.
 */
void rxe_hold_sent(struct rxe_qp *qp)
{
	qp->hold.is_requesting = false;
	/* One that asks for an acknowledgment starts the count again. */
	if (!qp->req.noack_pkts)
		qp->hold.due = qp->req.psn;
}

/**
 * rxe_hold_response - have the completer come back to a response
 * @qp: the queue pair
 * @pkt: the response, which the caller is about to free
 * @err: how storing it failed, or 0
 *
 * It goes back to the head of the queue, with references of its own on
 * everything that the caller's free drops.
 *
 * Context: the queue pair's send task.
 *
 * Return: true if it comes back.
 */
bool rxe_hold_response(struct rxe_qp *qp, struct rxe_pkt_info *pkt, int err)
{
	struct sk_buff *skb = PKT_TO_SKB(pkt);

	if (!rxe_odp_retryable(err))
		return false;
	/* Cannot fail: the caller holds one of each. */
	rxe_get(qp);
	WARN_ON_ONCE(!ib_device_try_get(qp->ibqp.device));
	skb_queue_head(&qp->resp_pkts, skb_get(skb));
	rxe_hold(qp, &qp->hold.response, pkt->psn);
	return true;
}

/**
 * rxe_hold_awaits_peer - whether a response is due
 * @qp: the queue pair
 *
 * Context: the queue pair's send task.
 *
 * Return: false if the peer waits for us: it refused a request, and we are to
 * send it again later; or a page of ours is missing for the next one, and
 * nothing before it asked for an acknowledgment that has not come.
 */
bool rxe_hold_awaits_peer(const struct rxe_qp *qp)
{
	if (qp->req.wait_for_rnr_timer)
		return false;
	return !qp->hold.is_requesting ||
	       (qp->hold.due != RXE_HOLD_NO_PSN &&
		psn_compare(qp->hold.due, qp->comp.psn) > 0);
}

/**
 * rxe_hold_keeps_timer - whether the retransmission timer goes on as it is
 * @qp: the queue pair
 *
 * The completer starts it anew whenever it has run, and each look for a page has
 * it run; but that is no sign of life of the peer.
 *
 * Context: the queue pair's send task, once for each run of the completer.
 */
bool rxe_hold_keeps_timer(struct rxe_qp *qp)
{
	bool has_answered = qp->hold.acked != qp->comp.psn;

	qp->hold.acked = qp->comp.psn;
	return qp->hold.is_requesting && rxe_hold_awaits_peer(qp) &&
	       !has_answered;
}

/**
 * rxe_hold_refuse - have the peer come back to a request
 * @qp: the queue pair; the request is the one that it expects next
 *
 * The pause between two attempts is not up to the peer: it would ask as often
 * as min_rnr_timer permits, however long the page takes. What it had sent behind
 * that request is dropped without another NAK.
 *
 * Context: the queue pair's receive task, which sends the RNR NAK.
 */
void rxe_hold_refuse(struct rxe_qp *qp)
{
	unsigned long by = rxe_late_by(&qp->hold.refused, qp->resp.psn);
	unsigned int ms = jiffies_to_msecs(by);
	unsigned int i = 0;

	while (i < ARRAY_SIZE(rxe_hold_rnr_ms) - 1 && rxe_hold_rnr_ms[i] < ms)
		i++;
	qp->hold.rnr_timer = IB_RNR_TIMER_010_24 + i;
	qp->resp.sent_psn_nak = 1;
}

/**
 * rxe_hold_rnr_timer - what an RNR NAK says
 * @qp: the queue pair
 *
 * Context: the queue pair's receive task.
 *
 * Return: the code of the time after which the peer may send again: what
 * rxe_hold_refuse() wants, at least what the queue pair was set to.
 */
u8 rxe_hold_rnr_timer(struct rxe_qp *qp)
{
	u8 least = qp->attr.min_rnr_timer;
	u8 timer = qp->hold.rnr_timer;

	qp->hold.rnr_timer = 0;
	/* The longest time has the code 0. */
	return !least || least > timer ? least : timer;
}
