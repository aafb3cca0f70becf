// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
// File: rxe_verbs.h
// Lines: -0 +1
//
// rxe: remember that a receive request was taken for a packet that comes again
//
// A packet that is refused because a page is not there yet has already taken
// its receive request from the shared queue.
@@
@@
struct rxe_resp_info {
	...
	struct rxe_recv_wqe *wqe;
+	bool keep_wqe;
	...
};
