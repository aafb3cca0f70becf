// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
// File: rxe_loc.h
// Lines: -2 +2
//
// rxe: look an opcode up only where there is a table
//
// The opcode comes from a queue that user space writes.
@@
@@
-int copy_data(...);
@@
@@
 wr_opcode_mask(int opcode, struct rxe_qp *qp)
 {
+	if (opcode < 0 || opcode > IB_WR_REG_MR)
+		return 0;
	return rxe_wr_opcode_info[opcode].mask[qp->ibqp.qp_type];
 }
