#include "check.h"

#include <vector>

namespace check {
namespace {

struct Case {
  std::string_view name;
  void (*body)();
};

int failures = 0;

std::vector<Case>& cases() {
  static std::vector<Case> all;
  return all;
}

int run_all() {
  for (const auto& test : cases()) {
    const int before = failures;
    test.body();
    if (failures != before) {
      std::cerr << "FAILED " << test.name << '\n';
    }
  }
  std::cerr << cases().size() << " tests, " << failures << " failed checks\n";
  return failures == 0 ? 0 : 1;
}

}  // namespace

Register::Register(std::string_view name, void (*body)()) { cases().push_back({name, body}); }

std::ostream& begin_failure(const char* file, int line, std::string_view what) {
  ++failures;
  return std::cerr << file << ':' << line << ": " << what;
}

void fail(const char* file, int line, std::string_view what) { begin_failure(file, line, what) << '\n'; }

}  // namespace check

int main() { return check::run_all(); }
