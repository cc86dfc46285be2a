// PURE: what runs, what waits for this participant's answer, and what they agreed to.

/** Consent as the server last told it. `apply` and the others return the events to emit, as [name, payload] pairs. */
export class ConsentState {
  /** `notice` or `explicit`. */
  mode = "notice";
  terms = null;
  activities = [];
  /** The notices that wait for an answer, oldest first. */
  notices = [];
  /** One's own state per use. */
  own = {};

  /** Take the state of a join result. */
  enter({ mode, terms, activities, notice, consent }) {
    this.mode = mode;
    this.terms = terms;
    this.activities = activities;
    this.notices = notice ? [notice] : [];
    this.own = consent;
  }

  /** Apply one notification; methods about other things give no events. */
  apply(method, params) {
    switch (method) {
      case "notice":
        this.notices = [...this.notices.filter(({ notice }) => notice !== params.notice), params];
        return [["notice", params]];
      case "activities":
        this.activities = params.activities;
        this.notices = this.notices.filter(({ activity }) => params.activities.some(({ id }) => id === activity));
        return [["activities", params]];
      case "consent":
        return this.set(params.consent, params.reason);
      case "terms":
        this.terms = params;
        return [["terms", params]];
      default:
        return [];
    }
  }

  /** One's own consent changed. */
  set(consent, reason = null) {
    this.own = consent;
    return [["consent", { consent, reason }]];
  }

  /** This version of the terms was accepted. */
  accepted(version, consent) {
    if (this.terms?.version === version) this.terms = { ...this.terms, accepted: true };
    return this.set(consent);
  }

  /** A notice was answered. */
  answered(notice) {
    this.notices = this.notices.filter((one) => one.notice !== notice);
    return this.set(this.own);
  }

  /** Whether something of this participant goes into an activity: agreed, and its notice answered. */
  is_in({ id, kind }) {
    return this.own[kind] === "granted" && !this.notices.some(({ activity }) => activity === id);
  }

  /** The refusals among one's own answers, per use. A machine never agrees for a person: only these are repeated at another join. */
  refusals() {
    const refused = Object.entries(this.own).filter(([, state]) => state === "refused");
    return Object.fromEntries(refused.map(([use]) => [use, false]));
  }
}
