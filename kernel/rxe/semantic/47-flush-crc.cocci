// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
// File: rxe_icrc.c
// Lines: -0 +2
//
// rxe: take a FLUSH with the invariant CRC that is specified
//
// It is over the headers (IBTA 7.8.1). This driver has them in it twice, because
// its table does not say where the payload of a FLUSH would begin. What it sends
// stays as it is: its likes take nothing else.
@@
@@
	icrc = ~icrc;
+	if (unlikely(icrc != pkt_icrc && pkt->mask & RXE_FLUSH_MASK))
+		icrc = ~rxe_icrc_hdr(skb, pkt);
	if (unlikely(icrc != pkt_icrc))
		return -EINVAL;
