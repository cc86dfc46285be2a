import { el } from "../ui/dom.js";
import { open_dialog } from "../ui/dialog.js";
import { open_menu } from "../ui/menu.js";
import { toast } from "../ui/toast.js";

const SELF = "self";

/** The actions on one person: show large, silence for oneself, and, for moderators, mute, remove and ban. */
export class PersonMenu {
  #room;
  #stage = null;

  constructor(room) {
    this.#room = room;
  }

  /** The stage that shows people large. */
  use_stage(stage) {
    this.#stage = stage;
  }

  /** Open next to `anchor` for a participant, or for oneself (null). */
  open(anchor, participant) {
    const id = participant?.id ?? SELF;
    const items = [{ icon: "pin", text: "Show large", checked: this.#stage.is_pinned(id), action: () => this.#stage.pin(id) }];
    if (participant) items.push(...this.#about(participant));
    open_menu(anchor, participant ? `Actions for ${participant.name}` : "Actions for you", items);
  }

  #about(participant) {
    const { identity, name } = participant;
    const tile = this.#stage.tile(participant.id);
    const items = [{ icon: "speaker_off", text: "Silence for me", checked: Boolean(tile?.is_hushed), action: () => { if (tile) tile.hushed = !tile.is_hushed; } }];
    if (!this.#room.may("moderate")) return items;
    const enforced = [...participant.tracks.values()].some((track) => track.source === "mic" && track.enforced);
    items.push(
      { icon: enforced ? "mic" : "mic_off", text: enforced ? "Allow to speak" : "Mute for everyone", action: () => this.#act(enforced ? "unmute" : "mute", identity, `${name} is ${enforced ? "no longer muted" : "muted"}.`) },
      { icon: "remove", text: "Remove from the room", alarm: true, action: () => this.#confirm("remove", participant) },
      { icon: "ban", text: "Ban from the room", alarm: true, action: () => this.#confirm("ban", participant) },
    );
    return items;
  }

  #confirm(action, { identity, name }) {
    const [title, text, button] = action === "ban"
      ? [`Ban ${name}?`, "They are removed at once and cannot come back to this room.", "Ban"]
      : [`Remove ${name}?`, "They are removed at once. They can come back with their link.", "Remove"];
    const dialog = open_dialog({
      title,
      body: el("p", {}, text),
      actions: [
        el("button", { class: "button", type: "button", on_click: () => dialog.close() }, "Cancel"),
        el("button", { class: "button button-alarm", type: "button", on_click: () => {
          dialog.close();
          this.#act(action, identity, `${name} was ${action === "ban" ? "banned" : "removed"}.`);
        } }, button),
      ],
    });
  }

  async #act(action, identity, done) {
    try {
      await this.#room.moderate(action, identity);
      toast(done);
    } catch (error) {
      toast(error.reason ?? error.message, { kind: "error" });
    }
  }
}
