// The client SDK of Parley, served as /static/sdk/parley.js. Types and documentation: parley.d.ts.
export { LevelMeter, list_devices, open_camera, open_microphone, open_screen } from "./devices.js";
export { ParleyError } from "./errors.js";
export { Room, VERSION } from "./room.js";
export { signalling_url } from "./signalling.js";
export { WhepSource } from "./whep.js";
