import { el } from "../ui/dom.js";
import { open_dialog } from "../ui/dialog.js";
import { toast } from "../ui/toast.js";
import { show_choices } from "./door.js";

/** The dialog in which devices are changed while in the room. */
export function open_settings(media) {
  const selects = {
    microphone: el("select", { id: "set-microphone" }),
    camera: el("select", { id: "set-camera" }),
    speaker: el("select", { id: "set-speaker" }),
  };
  const music = el("input", { type: "checkbox", id: "set-music", checked: media.chosen.music });
  const speaker_field = field("Speaker", selects.speaker);
  const show = () => {
    const { devices, chosen, mic, camera } = media;
    show_choices(selects.microphone, devices.microphones, mic?.getSettings().deviceId ?? chosen.microphone, "Microphone");
    show_choices(selects.camera, devices.cameras, camera?.getSettings().deviceId ?? chosen.camera, "Camera");
    show_choices(selects.speaker, devices.speakers, chosen.speaker, "Speaker");
    speaker_field.hidden = !("setSinkId" in HTMLMediaElement.prototype) || devices.speakers.length === 0;
  };
  const attempt = (action) => async () => {
    try {
      await action();
    } catch (error) {
      toast(error.reason ?? error.message, { kind: "error" });
    }
  };
  selects.microphone.addEventListener("change", attempt(() => media.choose_microphone(selects.microphone.value)));
  selects.camera.addEventListener("change", attempt(() => media.choose_camera(selects.camera.value)));
  selects.speaker.addEventListener("change", attempt(() => media.choose_speaker(selects.speaker.value)));
  music.addEventListener("change", attempt(() => media.choose_microphone(media.chosen.microphone, { music: music.checked })));
  show();
  const stop = media.on("changed", show);
  open_dialog({
    title: "Devices",
    kind: "settings-dialog",
    body: el("div", { class: "settings" },
      field("Microphone", selects.microphone), field("Camera", selects.camera), speaker_field,
      el("label", { class: "tick" }, music, el("span", {}, "Music: send the sound as it is, without removing echo and noise."))),
    on_close: stop,
  });
}

function field(words, select) {
  return el("div", { class: "field" }, el("label", { for: select.id }, words), select);
}
