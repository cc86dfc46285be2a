// One packet of a batch, as forwards and taps are served with it.
// Thread: the worker that owns the batch.
#pragma once

#include "packet.h"
#include "rtp_write.h"

namespace parley {

struct Gathered {
  const Packet* packet = nullptr;
  bool codec_changed = false;
  bool is_lead_in = false;  // came before its track was found to be among the loudest
  ExtensionPlanner planner;
};

}  // namespace parley
