// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
// File: rxe_resp.c
// Lines: -2 +3
//
// rxe: know a repeated READ by what the peer calls it
//
// Its address was compared with that in the region, which is another one for
// a zero based memory window, and the key of one of no bytes with a key that
// had been ignored when it came first. Both were dropped until the peer gave
// up.
@@
@@
	res->read.va = qp->resp.va + qp->resp.offset;
+	res->read.offset = qp->resp.offset;
@@
@@
-	u64 iova = reth_va(pkt);
+	u64 iova = reth_va(pkt) + res->read.offset;
@@
@@
-	if (reth_rkey(pkt) != res->read.rkey) {
+	if (res->read.length && reth_rkey(pkt) != res->read.rkey) {
		...
	}
