// Messages on their way to the desk: sent in order, again with the same id until they are answered,
// and kept in the browser's storage meanwhile, so that a reload or a crash loses none.

import { forBrowser } from "./storage.js";

const PREFIX = "groupemo-label ";
const CLIENT = "groupemo-client";
const PAUSES = [250, 500, 1000, 2000, 4000];

export class Outbox {
  /**
   * `place` says which journal the messages are for. `send(message)` answers or throws;
   * `onreply(message, reply)` hears of every answer, `onchange()` of every change of `waiting` or
   * `trouble` (null, or the error that holds the first message up).
   */
  constructor(client, place, send, { onreply, onchange }) {
    Object.assign(this, { place, send, onreply, onchange, trouble: null });
    this.key = `${PREFIX}${client} ${place}`;
    this.waiting = read(this.key);
    this.failures = 0;
    this.running = false;
  }

  add(message) {
    this.waiting.push(message);
    this.#keep();
    this.onchange();
    this.pump();
  }

  /** Take over what tabs left behind that are no more. */
  async adopt() {
    const ours = (key) =>
      key.startsWith(PREFIX) && key.endsWith(` ${this.place}`) && key !== this.key;
    for (const key of forBrowser.keys().filter(ours)) {
      const [, client] = key.split(" ");
      await navigator.locks.request(PREFIX + client, { ifAvailable: true }, (lock) => {
        if (!lock) return;
        this.waiting.unshift(...read(key));
        this.#keep();
        forBrowser.removeItem(key);
        this.#keep(); // there may not have been room for both
      });
    }
  }

  /** Send until nothing waits; resolves then. */
  async pump() {
    if (this.running) return;
    this.running = true;
    try {
      await this.#sendAll();
    } finally {
      this.running = false;
    }
  }

  async #sendAll() {
    while (this.waiting.length && !this.closed) {
      const [message] = this.waiting;
      let reply;
      try {
        reply = await this.send(message);
        if (reply.kind === "failed") throw new Error(reply.error);
      } catch (error) {
        this.trouble = error;
        this.onchange();
        await this.#pause();
        continue;
      }
      this.trouble = null;
      this.failures = 0;
      this.waiting.splice(this.waiting.indexOf(message), 1); // others may have come before it
      this.#keep();
      this.onreply(message, reply);
      this.onchange();
    }
  }

  /** Send no more: what waits is for whoever comes next. */
  close() {
    this.closed = true;
  }

  /** Try again at once. */
  hurry() {
    this.wake?.();
  }

  #pause() {
    const pause = PAUSES[Math.min(this.failures++, PAUSES.length - 1)];
    return new Promise((done) => {
      this.wake = done;
      setTimeout(done, pause);
    });
  }

  #keep() {
    if (this.waiting.length) forBrowser.setItem(this.key, JSON.stringify(this.waiting));
    else forBrowser.removeItem(this.key);
  }
}

function read(key) {
  return JSON.parse(forBrowser.getItem(key) ?? "[]");
}

/**
 * The id of this tab, {client, release}: after a reload the same while messages of it wait, never that
 * of another tab that is open (a tab that was duplicated brings its storage along), nor one in whose
 * name another tab still sends. A lock tells others that this tab lives, until it is closed or
 * `release()` is called.
 */
export async function claimClient(session) {
  const hold = (client, options) =>
    new Promise((claimed) => {
      const keep = (lock) =>
        lock ? new Promise((release) => claimed({ client, release })) : claimed(null);
      navigator.locks.request(PREFIX + client, options, keep).catch(() => claimed(null));
    });
  const known = session.getItem(CLIENT);
  const own = known && (await hold(known, { signal: AbortSignal.timeout(500) }));
  const left = forBrowser.keys().some((key) => key.startsWith(`${PREFIX}${known} `));
  if (own && !left) own.release(); // who took over what it left sends that in its name
  const client = crypto.randomUUID();
  const free = { client, release() {} }; // no locks: no storage
  const claim = (left && own) || (await hold(client, {})) || free;
  session.setItem(CLIENT, claim.client);
  return claim;
}
