// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
// File: rxe_resp.c
// Lines: -0 +2
//
// rxe: refuse a payload where the header announces none
//
// A zero-length WRITE has no region, and its payload was copied to none.
@@
@@
+	if (payload_size(pkt))
+		return RESPST_ERR_LENGTH;
	qp->resp.mr = NULL;
	return RESPST_EXECUTE;
