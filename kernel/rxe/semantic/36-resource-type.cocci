// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
// File: rxe_resp.c
// Lines: -1 +1
//
// rxe: answer a repeated READ from a READ's resource only
@@
statement S1, S2;
@@
	res = find_resource(qp, pkt->psn);
	if (
-	!res
+	!res || res->type != RXE_READ_MASK
	) S1 else S2
