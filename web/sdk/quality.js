// PURE: from two WebRTC statistics reports to a word that a person understands, and to what may be done about it.

const LOSSY = 0.01;
// What is sent again may get lost too.
const REPAIRS = 2;
// The gap is seen with the next picture, and the loss of a repair with the receiver's next feedback.
const NOTICE_MS = 60;
const MAX_WAIT_MS = 400;

/** Counters that matter, from an iterable of RTCStats: packets received and lost, the far side's loss of ours (0..1), round trip (s). */
export function read_stats(stats) {
  const reading = { received: 0, lost: 0, far_loss: 0, round_trip_s: 0, outgoing_bps: 0 };
  for (const item of stats) {
    if (item.type === "inbound-rtp") {
      reading.received += item.packetsReceived ?? 0;
      reading.lost += Math.max(0, item.packetsLost ?? 0);
    } else if (item.type === "remote-inbound-rtp") {
      reading.far_loss = Math.max(reading.far_loss, item.fractionLost ?? 0);
      reading.round_trip_s = Math.max(reading.round_trip_s, item.roundTripTime ?? 0);
    } else if (item.type === "candidate-pair" && item.nominated) {
      reading.round_trip_s = Math.max(reading.round_trip_s, item.currentRoundTripTime ?? 0);
      reading.outgoing_bps = item.availableOutgoingBitrate ?? 0;
    }
  }
  return reading;
}

/** `good`, `fair` or `poor`, with the figures it follows from; `before` and `now` are readings of both peer connections added up. */
export function grade(before, now) {
  const received = now.received - before.received;
  const lost = Math.max(0, now.lost - before.lost);
  const down_loss = received + lost > 0 ? lost / (received + lost) : 0;
  const round_trip_ms = Math.round(now.round_trip_s * 1000);
  const loss = Math.max(down_loss, now.far_loss);
  let word = "good";
  if (loss > 0.08 || round_trip_ms > 600) word = "poor";
  else if (loss > 0.02 || round_trip_ms > 250) word = "fair";
  return { grade: word, down_loss, up_loss: now.far_loss, round_trip_ms };
}

/**
 * How long a received picture should wait for what is sent again, in ms; null: as the browser likes. Where packets get lost a browser
 * passes over the frames that a repair would complete a moment later. Once they wait, they do until half as many get lost.
 */
export function repair_wait_ms({ down_loss, round_trip_ms }, is_waiting = false) {
  if (down_loss < (is_waiting ? LOSSY / 2 : LOSSY)) return null;
  return Math.min(MAX_WAIT_MS, REPAIRS * (round_trip_ms + NOTICE_MS));
}

/** Readings of several peer connections as one. */
export function add_readings(readings) {
  const sum = { received: 0, lost: 0, far_loss: 0, round_trip_s: 0, outgoing_bps: 0 };
  for (const reading of readings) {
    sum.received += reading.received;
    sum.lost += reading.lost;
    sum.far_loss = Math.max(sum.far_loss, reading.far_loss);
    sum.round_trip_s = Math.max(sum.round_trip_s, reading.round_trip_s);
    sum.outgoing_bps = Math.max(sum.outgoing_bps, reading.outgoing_bps);
  }
  return sum;
}
