// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
// File: rxe_resp.c
// Lines: -2 +5
//
// rxe: let a FLUSH wait for its pages
@@
@@
-	if (rxe_flush_pmem_iova(mr, start, length))
-		return get_rkey_violation_state(pkt);
+	int err = rxe_odp_flush(qp, mr, start, length);
+
+	if (err)
+		return rxe_odp_resp_error(qp, pkt, err,
+					  get_rkey_violation_state(pkt));
