// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
// File: rxe_resp.c
// Lines: -1 +1
//
// rxe: answer a READ of 2^31 bytes
//
// As an int that is negative, and so was the length of the first packet.
@@
@@
-	payload = min_t(int, res->read.resid, mtu);
+	payload = min_t(u32, res->read.resid, mtu);
