// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
// File: rxe_verbs.h
// Lines: -0 +2
//
// rxe: give a queue pair a place for the packets that wait for a page
@@
@@
#include "rxe_hw_counters.h"
+#include "rxe_hold.h"
@@
@@
struct rxe_qp {
	...
	struct timer_list rnr_nak_timer;
+	struct rxe_hold hold;
	...
};
