#include "layer_rates.h"

#include "check.h"

using namespace parley;

namespace {

// One second of two spatial layers with two temporal layers each, in steps of 10 ms.
void run(LayerRates& rates, TimeNs& now, int seconds) {
  for (int step = 0; step < seconds * 100; ++step) {
    now += 10 * kMillisecond;
    rates.receive(0, static_cast<std::size_t>(step % 2), 125);
    rates.receive(1, static_cast<std::size_t>(step % 2), 500);
    (void)rates.tick(now);
  }
}

bool is_near(std::uint32_t value, double expected) { return value > expected * 0.95 && value < expected * 1.05; }

}  // namespace

TEST(rates_add_up_over_the_layers_below) {
  LayerRates rates;
  TimeNs now = kSecond;
  run(rates, now, 5);
  CHECK(is_near(rates.up_to(0, 0), 50'000));
  CHECK(is_near(rates.up_to(0, 1), 100'000));
  CHECK(is_near(rates.up_to(1, 0), 250'000));
  CHECK(is_near(rates.up_to(1, 1), 500'000));
  CHECK(is_near(rates.up_to(3, 3), 500'000));
  CHECK(rates.has(1, 1));
  CHECK(!rates.has(2, 0));
}

TEST(a_layer_that_ends_fades) {
  LayerRates rates;
  TimeNs now = kSecond;
  run(rates, now, 3);
  for (int step = 0; step < 1000; ++step) {
    now += 10 * kMillisecond;
    rates.receive(0, 0, 125);
    (void)rates.tick(now);
  }
  CHECK(is_near(rates.up_to(3, 3), 100'000));
}

TEST(a_keyframe_is_no_rate) {
  LayerRates rates;
  TimeNs now = kSecond;
  run(rates, now, 3);
  rates.receive(0, 0, 30'000);
  run(rates, now, 1);
  CHECK(rates.up_to(0, 1) < 300'000);
}

TEST(layers_beyond_the_table_count_as_its_last) {
  LayerRates rates;
  TimeNs now = kSecond;
  (void)rates.tick(now);
  rates.receive(9, 9, 1000);
  CHECK(rates.tick(now + kSecond));
  CHECK_EQ(rates.up_to(3, 3), 8000U);
}
