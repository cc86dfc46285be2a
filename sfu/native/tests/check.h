// The whole test framework: TEST(name) { ... } with CHECK and CHECK_EQ; one executable per file, main is in check.cpp.
// Exit status 1 when anything failed; a failed check does not end its test.
#pragma once

#include <iostream>
#include <ranges>
#include <string_view>
#include <type_traits>

namespace check {

struct Register {
  Register(std::string_view name, void (*body)());
};

// Counts a failed check and begins its line.
std::ostream& begin_failure(const char* file, int line, std::string_view what);
void fail(const char* file, int line, std::string_view what);

// Prints what can be printed; bytes and enums as numbers, ranges element by element.
template <typename T>
void print(std::ostream& out, const T& value) {
  if constexpr (std::is_enum_v<T>) {
    out << static_cast<long long>(value);
  } else if constexpr (std::is_integral_v<T> && sizeof(T) == 1) {
    out << static_cast<int>(value);
  } else if constexpr (requires { out << value; }) {
    out << value;
  } else if constexpr (std::ranges::range<T>) {
    out << '[';
    for (const auto& item : value) {
      print(out, item);
      out << ' ';
    }
    out << ']';
  } else {
    out << '?';
  }
}

template <typename A, typename B>
void equal(const A& actual, const B& expected, std::string_view what, const char* file, int line) {
  if (!(actual == expected)) {
    auto& out = begin_failure(file, line, what);
    out << ": got ";
    print(out, actual);
    out << ", expected ";
    print(out, expected);
    out << '\n';
  }
}

}  // namespace check

#define TEST(name)                                                  \
  static void test_##name();                                        \
  static const check::Register register_##name(#name, test_##name); \
  static void test_##name()

#define CHECK(condition)                           \
  do {                                             \
    if (!(condition)) {                            \
      check::fail(__FILE__, __LINE__, #condition); \
    }                                              \
  } while (false)

#define CHECK_EQ(actual, expected) check::equal((actual), (expected), #actual, __FILE__, __LINE__)
