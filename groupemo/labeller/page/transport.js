// The only module that knows HTTP. Another transport needs the same three functions: `send`, which
// answers a message as the desk does, `picture` and `face`, which answer with an ImageBitmap.

/** The desk did not answer; the same message may be sent again. */
export class Offline extends Error {}

/** This page's token is no longer good: only a new address helps. */
export class Barred extends Error {}

const token = location.hash.slice(1);

async function ask(path, options = {}) {
  let response;
  try {
    response = await fetch(path, {
      ...options,
      headers: { ...options.headers, Authorization: `Bearer ${token}` },
      signal: AbortSignal.timeout(30_000),
    });
  } catch (error) {
    throw new Offline("no connection", { cause: error });
  }
  if (response.status === 401 || response.status === 403)
    throw new Barred("the address is out of date");
  if (response.status >= 500) throw new Offline(`the server failed (${response.status})`);
  return response;
}

/** Send a message and return the reply; what the desk refuses has `error` and `kind`. */
export async function send(message) {
  const headers = { "Content-Type": "application/json" };
  const response = await ask("/api", { method: "POST", headers, body: JSON.stringify(message) });
  try {
    return await response.json();
  } catch (error) {
    throw new Offline("the answer was cut short", { cause: error });
  }
}

async function bitmap(path) {
  const response = await ask(path);
  if (!response.ok)
    throw new Error((await response.json().catch(() => ({}))).error ?? "no picture");
  return createImageBitmap(await response.blob());
}

/** The photo, at most `side` pixels a side. */
export function picture(photo, side) {
  return bitmap(`/picture/${photo}?side=${side}`);
}

/** A face with half a box around it, cut from the photo at its full size. */
export function face(photo, box, side) {
  return bitmap(
    `/face/${photo}?box=${box.map((value) => value.toFixed(1)).join(",")}&side=${side}`,
  );
}
