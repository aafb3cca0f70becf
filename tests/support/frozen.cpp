// SPDX-License-Identifier: GPL-2.0 OR MIT
//
// See frozen.hpp.

#include "frozen.hpp"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>

namespace odp_test {

frozen::frozen(memory_kind kind)
    : mount_(checked(open(directory_of(kind).c_str(), O_RDONLY | O_CLOEXEC),
                     "opening the mount point")) {
    checked(ioctl(mount_.descriptor(), FIFREEZE, 0), "FIFREEZE");
}

void frozen::thaw() {
    if (!thawed_)
        checked(ioctl(mount_.descriptor(), FITHAW, 0), "FITHAW");
    thawed_ = true;
}

} // namespace odp_test
