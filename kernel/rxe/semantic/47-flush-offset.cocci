// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
// File: rxe_opcode.c
// Lines: -0 +1
//
// rxe: say where the payload of a FLUSH would begin
//
// It has none. But its invariant CRC was computed over everything behind
// offset 0 as payload, after the headers: over all headers twice. No other
// implementation would do that (IBTA 7.8.1).
@@
@@
 struct rxe_opcode_info rxe_opcode[RXE_NUM_OPCODE] = {
	...,
	[IB_OPCODE_RC_FLUSH] = {
		...,
		.offset = {
			...,
			[RXE_RETH] = RXE_BTH_BYTES + RXE_FETH_BYTES,
+			[RXE_PAYLOAD] = RXE_BTH_BYTES + RXE_FETH_BYTES + RXE_RETH_BYTES,
		}
	},
	...,
 };
