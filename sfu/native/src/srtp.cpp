#include "srtp.h"

namespace parley {

namespace {

constexpr std::size_t kRtpHeader = 12;
constexpr std::size_t kRtcpHeader = 8;
// libsrtp 2: srtp_err_status_replay_fail, srtp_err_status_replay_old.
constexpr int kReplayFail = 9;
constexpr int kReplayOld = 10;

}  // namespace

// Addresses are what Python has of libsrtp's functions and sessions.
// NOLINTBEGIN(cppcoreguidelines-pro-type-reinterpret-cast)
SrtpTable SrtpTable::from_addresses(std::uintptr_t protect, std::uintptr_t unprotect, std::uintptr_t protect_rtcp,
                                    std::uintptr_t unprotect_rtcp) {
  return SrtpTable{reinterpret_cast<SrtpFunction>(protect), reinterpret_cast<SrtpFunction>(unprotect),
                   reinterpret_cast<SrtpFunction>(protect_rtcp), reinterpret_cast<SrtpFunction>(unprotect_rtcp)};
}

void* SrtpTable::session_from_address(std::uintptr_t address) { return reinterpret_cast<void*>(address); }
// NOLINTEND(cppcoreguidelines-pro-type-reinterpret-cast)

std::optional<SrtpProfile> SrtpProfile::by_name(std::string_view name) {
  if (name == "AEAD_AES_128_GCM" || name == "AEAD_AES_256_GCM") {
    return SrtpProfile{16, 20};
  }
  if (name == "AES128_CM_SHA1_80") {
    return SrtpProfile{10, 14};
  }
  return std::nullopt;
}

SrtpCiphers SrtpCiphers::derive(Bytes rx_master, Bytes tx_master, std::uint64_t seed) {
  SrtpCiphers ciphers;
  if (rx_master.size() == GcmKeys::kMaster && AesGcm::is_available()) {
    ciphers.rx = std::make_shared<GcmReceiver>(GcmKeys::derive(rx_master.first<GcmKeys::kMaster>()), seed);
  }
  if (tx_master.size() == GcmKeys::kMaster && AesGcm::is_available()) {
    ciphers.tx = std::make_shared<GcmSender>(GcmKeys::derive(tx_master.first<GcmKeys::kMaster>()), seed);
  }
  return ciphers;
}

void Srtp::continue_from(const Srtp& before) {
  if (ciphers_.rx != nullptr && before.ciphers_.rx != nullptr && ciphers_.rx->has_keys_of(*before.ciphers_.rx)) {
    ciphers_.rx = before.ciphers_.rx;
  }
  if (ciphers_.tx != nullptr && before.ciphers_.tx != nullptr && ciphers_.tx->has_keys_of(*before.ciphers_.tx)) {
    ciphers_.tx = before.ciphers_.tx;
  }
}

SrtpError Srtp::run(SrtpFunction function, void* session, std::uint8_t* packet, std::size_t& len) {
  int length = static_cast<int>(len);
  const int status = function(session, packet, &length);
  if (status == kReplayFail || status == kReplayOld) {
    return SrtpError::kReplayed;
  }
  if (status != 0 || length < 0) {
    return SrtpError::kRejected;
  }
  len = static_cast<std::size_t>(length);
  return SrtpError::kNone;
}

SrtpError Srtp::unprotect_rtp(std::uint8_t* packet, std::size_t& len) const {
  if (rx_ == nullptr) {
    return SrtpError::kNoSession;
  }
  if (len < kRtpHeader + profile_.rtp_trailer) {
    return SrtpError::kTooShort;
  }
  return ciphers_.rx != nullptr ? ciphers_.rx->unprotect(packet, len) : run(table_->unprotect, rx_, packet, len);
}

SrtpError Srtp::unprotect_rtcp(std::uint8_t* packet, std::size_t& len) const {
  if (rx_ == nullptr) {
    return SrtpError::kNoSession;
  }
  if (len < kRtcpHeader + profile_.rtcp_trailer) {
    return SrtpError::kTooShort;
  }
  return run(table_->unprotect_rtcp, rx_, packet, len);
}

SrtpError Srtp::protect_rtp(std::uint8_t* packet, std::size_t& len) const {
  if (tx_ == nullptr) {
    return SrtpError::kNoSession;
  }
  return ciphers_.tx != nullptr ? ciphers_.tx->protect(packet, len) : run(table_->protect, tx_, packet, len);
}

SrtpError Srtp::protect_rtcp(std::uint8_t* packet, std::size_t& len) const {
  return tx_ == nullptr ? SrtpError::kNoSession : run(table_->protect_rtcp, tx_, packet, len);
}

}  // namespace parley
