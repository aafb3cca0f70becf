// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// A library of which emulation_test.cpp has several that differ in NUMBER alone: in one
// instruction, in the same place of a page.

extern "C" [[gnu::aligned(4096)]] int code_page_number();

int code_page_number() {
    return NUMBER;
}
