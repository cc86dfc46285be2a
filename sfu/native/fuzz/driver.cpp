// Where libFuzzer is missing (gcc): replays every file of the corpus folders given, then seeded mutations of them.
// The same seed gives the same run. Usage: fuzz_<parser> [--runs=N] corpus_folder...
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <random>
#include <string>
#include <string_view>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

using Input = std::vector<std::uint8_t>;

Input mutate(const std::vector<Input>& corpus, std::mt19937& random) {
  constexpr std::size_t kMaxSize = 2048;
  const auto below = [&random](std::size_t limit) { return random() % limit; };
  Input input = corpus[below(corpus.size())];
  for (std::size_t round = 1 + below(6); round > 0; --round) {
    const std::size_t at = input.empty() ? 0 : below(input.size());
    switch (below(6)) {
      case 0:
        if (!input.empty()) {
          input[at] = static_cast<std::uint8_t>(random());
        }
        break;
      case 1:
        if (!input.empty()) {
          input[at] ^= static_cast<std::uint8_t>(1U << below(8));
        }
        break;
      case 2:
        input.resize(at);
        break;
      case 3:
        input.insert(input.begin() + static_cast<std::ptrdiff_t>(at), 1 + below(16),
                     static_cast<std::uint8_t>(random()));
        break;
      case 4:
        if (!input.empty()) {
          input.erase(input.begin() + static_cast<std::ptrdiff_t>(at));
        }
        break;
      default: {
        const Input& other = corpus[below(corpus.size())];
        input.insert(input.end(), other.begin(), other.end());
        break;
      }
    }
  }
  if (input.size() > kMaxSize) {
    input.resize(kMaxSize);
  }
  return input;
}

}  // namespace

int main(int argc, char** argv) {
  std::size_t runs = 50'000;
  std::vector<Input> corpus = {{}};
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument.starts_with("--runs=")) {
      runs = std::stoul(std::string(argument.substr(7)));
      continue;
    }
    for (const auto& entry : std::filesystem::recursive_directory_iterator(argument)) {
      if (entry.is_regular_file()) {
        std::ifstream file(entry.path(), std::ios::binary);
        corpus.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
      }
    }
  }
  for (const Input& input : corpus) {
    LLVMFuzzerTestOneInput(input.data(), input.size());
  }
  std::mt19937 random(1);  // NOLINT: the same inputs at every run
  for (std::size_t run = 0; run < runs; ++run) {
    const Input input = mutate(corpus, random);
    LLVMFuzzerTestOneInput(input.data(), input.size());
  }
  std::cerr << corpus.size() << " inputs, " << runs << " mutations\n";
  return 0;
}
