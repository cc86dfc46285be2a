import { by_id, el, fill } from "../ui/dom.js";
import { icon } from "../ui/icons.js";
import { recall, remember } from "../ui/storage.js";
import { list_words, site_names, use_words } from "../ui/text.js";

const NAME = "parley.name";
const BARS = 5;

/**
 * The pre-join screen: name, devices, terms, and the uses that the room asks for.
 *
 * `ask` shows it and resolves with {name, accept, uses, publish} when the person joins. A refusal by the server is shown by `refuse`, then `ask` again.
 */
export class Door {
  #media;
  #door = null;
  #answers = new Map();
  #frame = 0;
  #stop_listening = () => {};

  constructor(media) {
    this.#media = media;
    for (let index = 0; index < BARS; index++) by_id("preview-bars").append(el("i"));
    by_id("door-mic").addEventListener("click", () => media.set_mic(!media.mic_on));
    by_id("door-camera").addEventListener("click", () => media.set_camera(!media.camera_on));
    by_id("door-microphone").addEventListener("change", ({ target }) => media.choose_microphone(target.value));
    by_id("door-cameras").addEventListener("change", ({ target }) => media.choose_camera(target.value));
  }

  /** Fill in what is known about the room: `door` and full `terms` of the API, the token's claims, the site. */
  show({ door, terms, claims, site, room }) {
    this.#door = { ...door, terms: { ...door.terms, ...terms, accepted: door.terms?.accepted ?? false } };
    this.may_publish = claims?.grants?.includes("publish") ?? true;
    by_id("door-room").textContent = door.title || room;
    document.title = `${door.title || room} - Parley`;
    by_id("name-field").hidden = !door.ask_name;
    by_id("name").value = recall("localStorage", NAME) ?? "";
    this.#show_running();
    this.#show_terms();
    this.#show_foot(site);
    by_id("watch").hidden = !this.may_publish;
    by_id("door").querySelector(".door-preview").hidden = !this.may_publish;
    by_id("door").classList.toggle("door-watch", !this.may_publish);
    by_id("door").hidden = false;
    this.#stop_listening = this.#media.on("changed", () => this.#show_media());
    this.#show_media();
    if (this.may_publish) this.#media.open().then(() => this.#show_media());
    this.#draw_level();
    if (door.ask_name) by_id("name").focus({ preventScroll: true });
  }

  /** Wait until the person joins. */
  ask() {
    this.#busy(false);
    return new Promise((resolve) => {
      const form = by_id("door-form");
      const done = (publish) => {
        const answer = this.#answer(publish);
        if (!answer) return;
        form.onsubmit = null;
        by_id("watch").onclick = null;
        this.#busy(true);
        resolve(answer);
      };
      form.onsubmit = (event) => {
        event.preventDefault();
        done(this.may_publish);
      };
      by_id("watch").onclick = () => done(false);
    });
  }

  /** Show why the server refused. */
  refuse(error) {
    const problem = by_id("join-problem");
    problem.textContent = error.retry_after_s ? `${error.reason} Try again in ${Math.ceil(error.retry_after_s)} s.` : error.reason;
    problem.hidden = false;
    problem.scrollIntoView({ block: "center" });
  }

  /** Leave the screen. */
  hide() {
    cancelAnimationFrame(this.#frame);
    this.#stop_listening();
    by_id("preview-video").srcObject = null;
    by_id("door").hidden = true;
  }

  #busy(busy) {
    const join = by_id("join");
    join.disabled = busy;
    join.textContent = busy ? "Joining" : this.may_publish ? "Join now" : "Watch now";
    by_id("watch").disabled = busy;
  }

  #answer(publish) {
    const name = by_id("name").value.trim();
    if (this.#door.ask_name && !this.#check_name(name)) return null;
    remember("localStorage", NAME, name || null);
    by_id("join-problem").hidden = true;
    if (!publish) return { name, accept: null, uses: null, publish };
    const { terms } = this.#door;
    const needs_terms = !terms.accepted;
    if (needs_terms && !this.#check_terms()) return null;
    const accept = needs_terms ? { terms_version: terms.version, age_18: true } : null;
    const uses = this.#answers.size ? Object.fromEntries(this.#answers) : null;
    return { name, accept, uses, publish };
  }

  #check_name(name) {
    const field = by_id("name");
    const wrong = by_id("name-wrong");
    wrong.hidden = Boolean(name);
    wrong.textContent = name ? "" : "Enter a screen name. A nickname will do.";
    field.setAttribute("aria-invalid", String(!name));
    if (!name) field.focus();
    return Boolean(name);
  }

  #check_terms() {
    const age = by_id("age");
    const accept = by_id("accept");
    const wrong = by_id("terms-wrong");
    const missing = [!age.checked && "confirm that you are 18 or older", !accept.checked && "accept the terms"].filter(Boolean);
    wrong.hidden = !missing.length;
    if (!missing.length) return true;
    wrong.textContent = `To go on camera, ${list_words(missing)}. You can also just watch.`;
    (age.checked ? accept : age).focus();
    return false;
  }

  #show_running() {
    const running = by_id("door-running");
    const lines = this.#door.activities.map(({ kind, sites }) =>
      kind === "record" ? `This room is being recorded by ${site_names(sites)}.` : `This room is ${use_words(kind).doing} on ${site_names(sites)}.`);
    fill(running, lines.length ? icon("live") : null, el("span", {}, lines.join(" ")));
    running.hidden = !lines.length;
  }

  #show_terms() {
    const { terms, mode, uses } = this.#door;
    by_id("door-terms").hidden = !this.may_publish || (terms.accepted && !(mode === "explicit" && uses.length));
    for (const id of ["age", "accept"]) by_id(id).closest("label").hidden = terms.accepted;
    const wordings = uses.map((use) => ({ use, ...use_words(use, terms) }));
    const list = list_words(wordings.map(({ title }) => title.toLowerCase()));
    by_id("terms-lead").textContent = uses.length === 0
      ? "This room is not recorded and not broadcast."
      : mode === "explicit"
        ? "Nothing of you is recorded or broadcast without your yes. Your answers count for your picture, sound and chat, and you can take them back at any moment."
        : `This room may be used for: ${list}. You are told before each one starts, with the sites it goes to, and you can stay out of it. Think twice before you show or say something private.`;
    fill(by_id("door-uses"), mode === "explicit" ? wordings.map((one) => this.#use_question(one)) : []);
    if (terms.age_statement) by_id("age-words").textContent = terms.age_statement;
    by_id("terms-version").textContent = terms.version ? ` (${terms.version})` : "";
    by_id("terms-link").href = terms.url ?? "/terms";
    fill(by_id("terms-text"), (terms.text ?? "").split(/\n\s*\n/).filter(Boolean).map((paragraph) => el("p", {}, paragraph)));
  }

  #use_question({ use, title, text }) {
    const answer = (value, words) => el("label", {},
      el("input", { type: "radio", name: `use-${use}`, value, on_change: () => this.#answers.set(use, value === "yes") }), words);
    return el("fieldset", { class: "use" },
      el("legend", { class: "visually-hidden" }, title),
      el("div", { class: "use-words" }, el("strong", { aria_hidden: "true" }, title), text && el("p", {}, text)),
      el("div", { class: "choice" }, answer("no", "No"), answer("yes", "Yes")));
  }

  #show_foot(site) {
    fill(by_id("door-foot"),
      el("a", { href: "/terms" }, "Terms of broadcast"),
      site?.privacy && el("span", {}, `Privacy: ${site.privacy}`),
      site?.support && el("span", {}, `Help: ${site.support}`));
  }

  #show_media() {
    const { mic, camera, mic_on, camera_on, devices, chosen } = this.#media;
    show_toggle(by_id("door-mic"), { on: mic_on && Boolean(mic), name: "mic" });
    show_toggle(by_id("door-camera"), { on: camera_on && Boolean(camera), name: "camera" });
    show_choices(by_id("door-microphone"), devices.microphones, mic?.getSettings().deviceId ?? chosen.microphone, "Microphone");
    show_choices(by_id("door-cameras"), devices.cameras, camera?.getSettings().deviceId ?? chosen.camera, "Camera");
    const video = by_id("preview-video");
    video.hidden = !camera;
    if (video.srcObject?.getVideoTracks()[0] !== camera) video.srcObject = camera ? new MediaStream([camera]) : null;
    by_id("preview-empty").hidden = Boolean(camera);
    const problem = this.#media.problem("camera") ?? this.#media.problem("mic");
    by_id("preview-words").textContent = this.#media.problem("camera") ? "No camera" : camera_on ? "Starting your camera" : "Your camera is off";
    by_id("device-problem").hidden = !problem;
    by_id("device-problem").textContent = problem?.reason ?? "";
  }

  #draw_level() {
    const bars = [...by_id("preview-bars").children];
    const draw = () => {
      const level = this.#media.mic_on ? this.#media.meter?.read() ?? 0 : 0;
      by_id("preview-level").value = level;
      bars.forEach((bar, index) => bar.classList.toggle("lit", level * BARS > index + 0.15));
      this.#frame = requestAnimationFrame(draw);
    };
    draw();
  }
}

/** Make a button show whether a device (`name`: `mic` or `camera`) is on; `blocked` says why it cannot be turned on. */
export function show_toggle(button, { on, name, key = "", blocked = null }) {
  const word = name === "mic" ? "Microphone" : "Camera";
  fill(button, icon(on ? name : `${name}_off`));
  button.classList.toggle("off", !on);
  button.setAttribute("aria-pressed", String(on));
  button.setAttribute("aria-label", blocked ? `${word}: ${blocked}` : word);
  button.title = blocked ?? `Turn ${word.toLowerCase()} ${on ? "off" : "on"}${key && ` (${key})`}`;
}

/** Fill a select with devices. */
export function show_choices(select, devices, chosen, word) {
  const options = devices.map(({ id, label }, index) => el("option", { value: id }, label || `${word} ${index + 1}`));
  const now = options.map((option) => `${option.value} ${option.textContent}`).join();
  if (select.dataset.shown !== now) {
    fill(select, options.length ? options : el("option", { value: "" }, `No ${word.toLowerCase()} found`));
    select.dataset.shown = now;
  }
  select.disabled = options.length === 0;
  if (chosen && devices.some(({ id }) => id === chosen)) select.value = chosen;
}
