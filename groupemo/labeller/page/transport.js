// The only module that knows HTTP. Another transport needs the same three functions: `send`, which
// gives the desk's reply to a message, `picture` and `face`, which give an ImageBitmap. They throw
// where there is no reply; the same may be asked again, unless the error says that it was `refused`.

const PATIENCE = 30_000; // milliseconds
const OUTDATED =
  "this address is out of date: close this tab and open the address that groupemo printed last";

const token = location.hash.slice(1);

async function ask(path, options = {}) {
  const headers = { ...options.headers, Authorization: `Bearer ${token}` };
  const signal = AbortSignal.timeout(PATIENCE);
  const response = await fetch(path, { ...options, headers, signal }).catch((cause) => {
    throw new Error("no connection", { cause });
  });
  if (response.status === 401 || response.status === 403) throw new Error(OUTDATED);
  if (response.status >= 500) throw new Error(`the server failed (${response.status})`);
  return response;
}

/** Send a message and return the reply; what the desk refuses has `error` and `kind`. */
export async function send(message) {
  const headers = { "Content-Type": "application/json" };
  const response = await ask("/api", { method: "POST", headers, body: JSON.stringify(message) });
  return response.json();
}

async function bitmap(path) {
  const response = await ask(path);
  if (!response.ok) throw Object.assign(new Error((await response.json()).error), { refused: true });
  return createImageBitmap(await response.blob());
}

/** The photo, at most `side` pixels a side. */
export function picture(photo, side) {
  return bitmap(`/picture/${photo}?side=${side}`);
}

/** A face with half a box around it, cut from the photo at its full size. */
export function face(photo, box, side) {
  return bitmap(`/face/${photo}?box=${box}&side=${side}`);
}
