// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
// File: rxe_resp.c
// Lines: -7 +8
//
// rxe: answer a repeated request from a resource of its own kind only
//
// What an atomic returned and where a READ began are in the same place.
@@
identifier psn;
@@
 find_resource(struct rxe_qp *qp,
-	u32 psn
+	struct rxe_pkt_info *pkt
 )
 {
	<...
(
-	res->type == 0
+	!(res->type & pkt->mask)
|
-	psn
+	pkt->psn
)
	...>
 }
@@
@@
	find_resource(qp,
-	pkt->psn
+	pkt
	)
