// PURE: who is in the room and what they publish, kept in step with the server's notifications.

/**
 * The other participants by id. `apply` and `replace` change it and return the events to emit, as [name, payload] pairs.
 *
 * A participant here is the protocol's Participant with `tracks` as a Map from track number to Track.
 */
export class Roster {
  participants = new Map();

  /** One participant, or undefined. */
  get(id) {
    return this.participants.get(id);
  }

  /** Take the state of a join result: what differs from before becomes events, so that a resume shows what was missed. */
  replace(list) {
    const events = [];
    const present = new Set(list.map(({ id }) => id));
    for (const id of [...this.participants.keys()]) {
      if (!present.has(id)) events.push(...this.#leave(id, "lost"));
    }
    for (const participant of list) {
      events.push(...(this.participants.has(participant.id) ? this.#update(participant, true) : this.#join(participant)));
    }
    return events;
  }

  /** Apply one notification; methods that are not about participants and their tracks give no events. */
  apply(method, params) {
    switch (method) {
      case "participant_joined":
        return this.participants.has(params.participant.id) ? this.#update(params.participant, true) : this.#join(params.participant);
      case "participant_updated":
        return this.#update(params.participant, false);
      case "participant_left":
        return this.#leave(params.participant, params.reason);
      case "track_published":
        return this.#publish(params.participant, params.track);
      case "track_unpublished":
        return this.#unpublish(params.participant, params.track);
      case "track_muted":
        return this.#mute(params);
      default:
        return [];
    }
  }

  #join(participant) {
    const known = { ...participant, tracks: new Map((participant.tracks ?? []).map((track) => [track.track, track])) };
    this.participants.set(known.id, known);
    return [["participant_joined", { participant: known }]];
  }

  #update(participant, with_tracks) {
    const known = this.participants.get(participant.id);
    if (!known) return [];
    const { tracks, ...rest } = participant;
    Object.assign(known, rest);
    const events = [["participant_updated", { participant: known }]];
    if (!with_tracks || !tracks) return events;
    const present = new Set(tracks.map(({ track }) => track));
    for (const track of [...known.tracks.keys()]) if (!present.has(track)) events.push(...this.#unpublish(known.id, track));
    for (const track of tracks) {
      if (!known.tracks.has(track.track)) events.push(...this.#publish(known.id, track));
      else events.push(...this.#mute({ ...track, participant: known.id }));
    }
    return events;
  }

  #leave(id, reason) {
    const participant = this.participants.get(id);
    if (!participant) return [];
    this.participants.delete(id);
    return [["participant_left", { participant, reason }]];
  }

  #publish(id, track) {
    const participant = this.participants.get(id);
    if (!participant) return [];
    participant.tracks.set(track.track, track);
    return [["track_published", { participant, track }]];
  }

  #unpublish(id, number) {
    const participant = this.participants.get(id);
    const track = participant?.tracks.get(number);
    if (!track) return [];
    participant.tracks.delete(number);
    return [["track_unpublished", { participant, track }]];
  }

  #mute({ participant: id, track: number, muted, enforced }) {
    const participant = this.participants.get(id);
    const track = participant?.tracks.get(number);
    if (!track || (track.muted === muted && track.enforced === enforced)) return [];
    track.muted = muted;
    track.enforced = enforced;
    return [["track_muted", { participant, track }]];
  }
}
