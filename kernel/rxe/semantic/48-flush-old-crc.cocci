// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
// File: rxe_icrc.c
// Lines: -0 +6
//
// rxe: take a FLUSH of who computes its CRC as this driver did
//
// That is, over the headers a second time.
@@
@@
	icrc = ~icrc;
+	if (unlikely(icrc != pkt_icrc && pkt->mask & RXE_FLUSH_MASK)) {
+		icrc = rxe_icrc_hdr(skb, pkt);
+		icrc = rxe_crc32(pkt->rxe, icrc, pkt->hdr, pkt->paylen - RXE_ICRC_SIZE);
+		icrc = ~icrc;
+	}
	if (unlikely(icrc != pkt_icrc))
		return -EINVAL;
