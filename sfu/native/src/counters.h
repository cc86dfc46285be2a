// Every drop and every notable event of a worker, counted under a name.
// Thread: the worker that owns the block; readers get copies through a Stats event.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace parley {

// X(name): the enumerator and the text that operators see.
#define SFU_COUNTERS(X)         \
  X(datagrams_received)         \
  X(bytes_received)             \
  X(datagrams_sent)             \
  X(bytes_sent)                 \
  X(messages_received)          \
  X(messages_sent)              \
  X(send_calls)                 \
  X(loops)                      \
  X(busy_us)                    \
  X(flushes)                    \
  X(flushes_coalesced)          \
  X(commands)                   \
  X(rtp_received)               \
  X(rtcp_received)              \
  X(rtp_forwarded)              \
  X(forwards_welcomed)          \
  X(rtcp_sent)                  \
  X(tcp_accepted)               \
  X(tcp_closed)                 \
  X(stun_delivered)             \
  X(dtls_delivered)             \
  X(taps_written)               \
  X(injected)                   \
  X(link_items_sent)            \
  X(link_items_received)        \
  X(keyframe_requests_sent)     \
  X(keyframe_requests_absorbed) \
  X(nacks_sent)                 \
  X(twcc_received)              \
  X(twcc_unknown)               \
  X(nacks_received)             \
  X(twcc_sent)                  \
  X(rtx_received)               \
  X(red_recovered)              \
  X(rtx_sent)                   \
  X(rtx_repeated)               \
  X(rtp_paced)                  \
  X(rtp_unpaced)                \
  X(padding_sent)               \
  X(drop_empty)                 \
  X(drop_unknown_kind)          \
  X(drop_truncated)             \
  X(drop_stun_malformed)        \
  X(drop_stun_unknown_ufrag)    \
  X(stun_answered)              \
  X(drop_stun_replayed)         \
  X(drop_stun_rate)             \
  X(drop_stun_not_request)      \
  X(drop_dtls_unbound)          \
  X(drop_media_unbound)         \
  X(drop_media_before_keys)     \
  X(drop_srtp_too_short)        \
  X(drop_srtp_replayed)         \
  X(drop_srtp_rejected)         \
  X(drop_srtp_not_sent)         \
  X(drop_ssrc_limit)            \
  X(drop_rtp_malformed)         \
  X(drop_red_malformed)         \
  X(drop_rtp_unmapped)          \
  X(drop_rtp_unknown_pt)        \
  X(drop_rtp_duplicate)         \
  X(drop_rtp_too_old)           \
  X(drop_rtp_too_long)          \
  X(drop_rtx_empty)             \
  X(drop_rtx_malformed)         \
  X(drop_rtcp_malformed)        \
  X(drop_rtcp_unknown_ssrc)     \
  X(drop_track_disabled)        \
  X(drop_gate_closed)           \
  X(drop_forward_paused)        \
  X(drop_not_loudest)           \
  X(drop_layer)                 \
  X(drop_codec_unsupported)     \
  X(drop_pacer_full)            \
  X(drop_no_path)               \
  X(drop_not_writable)          \
  X(drop_pending_full)          \
  X(drop_send_would_block)      \
  X(drop_send_no_buffers)       \
  X(drop_send_refused)          \
  X(drop_nack_not_stored)       \
  X(drop_nack_budget)           \
  X(drop_nack_no_rtx)           \
  X(drop_tcp_refused)           \
  X(drop_tcp_malformed)         \
  X(drop_tcp_unknown)           \
  X(drop_tcp_unbound)           \
  X(drop_tcp_full)              \
  X(drop_inject_malformed)      \
  X(drop_inject_rate)           \
  X(drop_link_full)             \
  X(drop_tap_gate_closed)       \
  X(drop_tap_full)              \
  X(drop_tap_too_long)          \
  X(drop_event_full)            \
  X(drop_event_network_full)    \
  X(gso_refused)

enum class Counter : std::uint8_t {
#define SFU_COUNTER_ENUM(name) name,
  SFU_COUNTERS(SFU_COUNTER_ENUM)
#undef SFU_COUNTER_ENUM
      kCount,
};

inline constexpr std::size_t kCounters = static_cast<std::size_t>(Counter::kCount);

inline constexpr std::array<std::string_view, kCounters> kCounterNames{
#define SFU_COUNTER_NAME(name) #name,
    SFU_COUNTERS(SFU_COUNTER_NAME)
#undef SFU_COUNTER_NAME
};

class Counters {
 public:
  void add(Counter counter, std::uint64_t by = 1) { values_[static_cast<std::size_t>(counter)] += by; }
  [[nodiscard]] std::uint64_t get(Counter counter) const { return values_[static_cast<std::size_t>(counter)]; }
  [[nodiscard]] const std::array<std::uint64_t, kCounters>& values() const { return values_; }

 private:
  std::array<std::uint64_t, kCounters> values_{};
};

}  // namespace parley
