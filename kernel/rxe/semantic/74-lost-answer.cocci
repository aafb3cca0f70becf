// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
// File: rxe_comp.c
// Lines: -10 +9
//
// rxe: return what a request had of the initiator depth however it completes
//
// The answer to an ATOMIC WRITE or a FLUSH carries no data, so that one to a later
// request stands for it. What it had of max_rd_atomic was not returned then, and
// when all was gone nothing of the kind was ever sent again.
@ return_it @
statement S;
@@
 complete_ack(...)
 {
-	if (wqe->has_rd_atomic) S
	...
 }
@ do_it @
statement return_it.S;
@@
 do_complete(...)
 {
	...
	if (post) make_send_cqe(...);
+	if (wqe->has_rd_atomic) S
	...
 }
