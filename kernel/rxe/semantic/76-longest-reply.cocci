// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
// File: rxe_resp.c
// Lines: -1 +1
//
// rxe: expect the right request after a READ of 2^23 packets
//
// That far apart, one PSN is not before the other.
@@
@@
-	if (psn_compare(res->cur_psn, qp->resp.psn) >= 0)
+	if (!res->replay || psn_compare(res->cur_psn, qp->resp.psn) >= 0)
		qp->resp.psn = res->cur_psn;
