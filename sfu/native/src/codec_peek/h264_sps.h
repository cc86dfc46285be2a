// The picture's height out of an H.264 sequence parameter set.
// Source: ITU-T H.264 sections 7.3.2.1.1 and 7.4.2.1.1.
#pragma once

#include <cstdint>

#include "bytes.h"

namespace parley {

// `unit`: the NAL unit, its header byte included, perhaps cut off behind what is needed here. 0: it cannot be told.
std::uint16_t sps_height(Bytes unit);

}  // namespace parley
