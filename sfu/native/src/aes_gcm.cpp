#include "aes_gcm.h"

#include <dlfcn.h>
#include <intel-ipsec-mb.h>
#include <string.h>

#include <algorithm>

namespace parley {

namespace {

// The library is looked for when the core starts, so that the core also loads where it was taken away.
constexpr const char* kFile = "libIPSec_MB.so.1";

struct Library {
  IMB_MGR* manager = nullptr;  // for good, as the library
  std::string name;
};

template <typename Function>
Function* function_of(void* handle, const char* name) {
  return reinterpret_cast<Function*>(dlsym(handle, name));  // NOLINT(cppcoreguidelines-pro-type-reinterpret-cast)
}

const char* name_of(IMB_ARCH arch) {
  switch (arch) {
    case IMB_ARCH_AVX512:
      return "AVX-512";
    case IMB_ARCH_AVX2:
      return "AVX2";
    case IMB_ARCH_AVX:
      return "AVX";
    case IMB_ARCH_SSE:
      return "SSE";
    default:
      return nullptr;
  }
}

Library load() {
  void* handle = dlopen(kFile, RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) {
    return {};
  }
  auto* const allocate = function_of<decltype(alloc_mb_mgr)>(handle, "alloc_mb_mgr");
  auto* const prepare = function_of<decltype(init_mb_mgr_auto)>(handle, "init_mb_mgr_auto");
  auto* const error_of = function_of<decltype(imb_get_errno)>(handle, "imb_get_errno");
  auto* const version = function_of<decltype(imb_get_version_str)>(handle, "imb_get_version_str");
  if (allocate == nullptr || prepare == nullptr || error_of == nullptr || version == nullptr) {
    return {};
  }
  Library library{allocate(0), ""};
  if (library.manager == nullptr) {
    return library;
  }
  IMB_ARCH arch = IMB_ARCH_NONE;
  prepare(library.manager, &arch);
  // Without the processor's own AES it would be slower than libsrtp's OpenSSL.
  const bool has_aes = (library.manager->features & IMB_FEATURE_AESNI) != 0;
  if (has_aes && error_of(library.manager) == 0 && name_of(arch) != nullptr) {
    library.name = std::string("intel-ipsec-mb ") + version() + " (" + name_of(arch) + ")";
  }
  return library;
}

const Library& library() {
  static const Library loaded = load();
  return loaded;
}

IMB_MGR* manager() { return library().manager; }

// Source: FIPS 197 appendix C.1.
bool passes_block_answer() {
  static constexpr std::array<std::uint8_t, 16> kKey{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  static constexpr std::array<std::uint8_t, 16> kBlock{0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77,
                                                       0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff};
  static constexpr std::array<std::uint8_t, 16> kAnswer{0x69, 0xc4, 0xe0, 0xd8, 0x6a, 0x7b, 0x04, 0x30,
                                                        0xd8, 0xcd, 0xb7, 0x80, 0x70, 0xb4, 0xc5, 0x5a};
  return aes_block(AesGcm::Key(kKey), kBlock) == kAnswer;
}

// Test case 4 of the mode's specification (McGrew and Viega, appendix B).
bool passes_known_answer() {
  static constexpr std::array<std::uint8_t, 16> kKey{0xfe, 0xff, 0xe9, 0x92, 0x86, 0x65, 0x73, 0x1c,
                                                     0x6d, 0x6a, 0x8f, 0x94, 0x67, 0x30, 0x83, 0x08};
  static constexpr AesGcm::Nonce kNonce{0xca, 0xfe, 0xba, 0xbe, 0xfa, 0xce, 0xdb, 0xad, 0xde, 0xca, 0xf8, 0x88};
  static constexpr std::array<std::uint8_t, 20> kHeader{0xfe, 0xed, 0xfa, 0xce, 0xde, 0xad, 0xbe, 0xef, 0xfe, 0xed,
                                                        0xfa, 0xce, 0xde, 0xad, 0xbe, 0xef, 0xab, 0xad, 0xda, 0xd2};
  static constexpr std::array<std::uint8_t, 60> kText{
      0xd9, 0x31, 0x32, 0x25, 0xf8, 0x84, 0x06, 0xe5, 0xa5, 0x59, 0x09, 0xc5, 0xaf, 0xf5, 0x26,
      0x9a, 0x86, 0xa7, 0xa9, 0x53, 0x15, 0x34, 0xf7, 0xda, 0x2e, 0x4c, 0x30, 0x3d, 0x8a, 0x31,
      0x8a, 0x72, 0x1c, 0x3c, 0x0c, 0x95, 0x95, 0x68, 0x09, 0x53, 0x2f, 0xcf, 0x0e, 0x24, 0x49,
      0xa6, 0xb5, 0x25, 0xb1, 0x6a, 0xed, 0xf5, 0xaa, 0x0d, 0xe6, 0x57, 0xba, 0x63, 0x7b, 0x39};
  static constexpr AesGcm::Tag kTag{0x5b, 0xc9, 0x4f, 0xbc, 0x32, 0x21, 0xa5, 0xdb,
                                    0x94, 0xfa, 0xe9, 0x5a, 0xe7, 0x12, 0x1a, 0x47};
  const AesGcm cipher{AesGcm::Key(kKey)};
  std::array<std::uint8_t, 60> text = kText;
  AesGcm::Tag tag{};
  cipher.seal(kNonce, kHeader, text, tag.data());
  return tag == kTag && text != kText && cipher.open(kNonce, kHeader, text, tag.data()) && text == kText;
}

}  // namespace

struct alignas(64) AesGcm::Expanded {
  gcm_key_data data;
};

void AesGcm::Wipe::operator()(Expanded* expanded) const {
  explicit_bzero(expanded, sizeof(*expanded));
  delete expanded;  // NOLINT(cppcoreguidelines-owning-memory): a unique_ptr's
}

const std::string& AesGcm::implementation() {
  static const std::string name =
      library().name.empty() || !passes_block_answer() || !passes_known_answer() ? "" : library().name;
  return name;
}

AesGcm::AesGcm(Key key) : expanded_(new Expanded{}) { IMB_AES128_GCM_PRE(manager(), key.data(), &expanded_->data); }

void AesGcm::seal(const Nonce& nonce, Bytes header, MutableBytes text, std::uint8_t* tag) const {
  gcm_context_data context;
  IMB_AES128_GCM_ENC(manager(), &expanded_->data, &context, text.data(), text.data(), text.size(), nonce.data(),
                     header.data(), header.size(), tag, kTag);
}

bool AesGcm::open(const Nonce& nonce, Bytes header, MutableBytes text, const std::uint8_t* tag) const {
  gcm_context_data context;
  Tag computed;
  IMB_AES128_GCM_DEC(manager(), &expanded_->data, &context, text.data(), text.data(), text.size(), nonce.data(),
                     header.data(), header.size(), computed.data(), kTag);
  // All of it, however early they differ: how long it takes must not tell where.
  std::uint8_t difference = 0;
  for (std::size_t index = 0; index < kTag; ++index) {
    difference = static_cast<std::uint8_t>(difference | (computed[index] ^ tag[index]));
  }
  return difference == 0;
}

bool AesGcm::has_key_of(const AesGcm& other) const {
  return std::ranges::equal(expanded_->data.expanded_keys, other.expanded_->data.expanded_keys);
}

std::array<std::uint8_t, 16> aes_block(AesGcm::Key key, const std::array<std::uint8_t, 16>& block) {
  alignas(16) std::array<std::uint8_t, 16 * 11> encrypting;
  alignas(16) std::array<std::uint8_t, 16 * 11> decrypting;
  std::array<std::uint8_t, 16> result{};
  IMB_AES_KEYEXP_128(manager(), key.data(), encrypting.data(), decrypting.data());
  // Cipher feedback of one block of zeros is the block cipher of its initialisation vector.
  IMB_AES128_CFB_ONE(manager(), result.data(), result.data(), block.data(), encrypting.data(), result.size());
  explicit_bzero(encrypting.data(), encrypting.size());
  explicit_bzero(decrypting.data(), decrypting.size());
  return result;
}

}  // namespace parley
