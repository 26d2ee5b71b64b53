// One annotator's side of the desk: what the desk has confirmed, with the actions still on their way
// on top. What is shown never waits for the network; what is said to be saved does.

import { Outbox } from "./outbox.js";
import { applied, changedFaces } from "./state.js";

const CONFLICT = "Not saved, for it was changed in another tab; this is how it stands now.";
const POLL = 3000; // milliseconds between questions for changes in other tabs

export const keyOf = ({ id, again }) => `${id} ${again}`;

export class Desk {
  /**
   * `on.change()`: something is different. `on.trouble(text)`: an action was not taken.
   * `on.heard()`: the desk has answered, and so can be reached.
   * `on.undone({key, faces, verb})`: undo or redo changed these faces of this photo, or (no key) nothing.
   */
  constructor(transport, { annotator, role, client }, on) {
    Object.assign(this, { transport, annotator, role, client, on });
    this.confirmed = new Map();
    this.asked = new Map();
    this.seq = 0;
  }

  get adjudicates() {
    return this.role === "adjudicator";
  }

  /** Ask for everything; throws with the desk's words where it refuses. */
  async open() {
    const reply = await this.ask({ do: "open", role: this.role });
    this.#opened(reply);
    this.heard = reply.seq;
    this.outbox = new Outbox(this.client, this.settings.labels, this.transport.send, {
      onreply: (message, answer) => this.#answered(message, answer),
      onchange: () => this.on.change(),
    });
    await this.outbox.adopt();
    this.outbox.pump();
    this.timer = setInterval(() => this.#poll().catch(() => {}), POLL);
  }

  close() {
    clearInterval(this.timer);
    this.outbox?.close();
  }

  item(key) {
    return this.items.get(key);
  }

  /** The state of a photo with what is on its way, or undefined before `load`. */
  state(key) {
    const mine = ({ photo, again = 0, annotator }) =>
      annotator === this.annotator && keyOf({ id: photo, again }) === key;
    const confirmed = this.confirmed.get(key);
    return confirmed && this.outbox.waiting.filter(mine).reduce(applied, confirmed);
  }

  /** Fetch the state of a photo; what is known stays until the answer is here. */
  async load(key) {
    const { id, again } = this.items.get(key);
    const running = this.asked.get(key);
    if (running) return running;
    const asked = this.ask({ do: "photo", photo: id, again }).finally(() => this.asked.delete(key));
    this.asked.set(key, asked);
    this.#confirm(await asked);
    this.on.change();
  }

  act(key, kind, body) {
    const { id: photo, again } = this.items.get(key);
    const { seq: seen } = this.confirmed.get(key);
    this.#post({ do: "act", photo, again, seen, kind, ...body });
  }

  adjudicate(key, box, label) {
    this.#post({ do: "adjudicate", photo: this.items.get(key).id, box, label });
  }

  undo() {
    this.#post({ do: "undo", seen: this.seq });
  }

  redo() {
    this.#post({ do: "redo", seen: this.seq });
  }

  /** Send a message that is no action, and return the reply. */
  async ask(message) {
    const reply = await this.transport.send({
      ...message,
      annotator: this.annotator,
      client: this.client,
    });
    if (reply.error) throw new Error(reply.error);
    return reply;
  }

  #post(message) {
    const { annotator, client } = this;
    this.outbox.add({ ...message, id: crypto.randomUUID(), annotator, client });
  }

  /** Have a warm-up recorded. */
  warmedUp(answers) {
    this.#post({ do: "warmed_up", answers });
  }

  /** Ask for everything anew; of photos, for the states of those that `stale` names. */
  async refresh(stale = [...this.confirmed.keys()]) {
    this.#opened(await this.ask({ do: "open", role: this.role }));
    await Promise.all(stale.filter((key) => this.confirmed.has(key)).map((key) => this.load(key)));
    this.on.change();
  }

  #opened({ items, classes, progress, seq, history, settings, notes, warm_ups: warmUps }) {
    Object.assign(this, { classes, progress, history, settings, notes, warmUps });
    const told = new Map(items.map((item) => [keyOf(item), item]));
    const known = this.items?.keys() ?? []; // keep their places; one may be looked at that is gone
    const renewed = (key) => told.has(key) && !alike(this.items?.get(key), told.get(key));
    const kept = (key) => (renewed(key) ? told : this.items).get(key);
    this.items = new Map([...known, ...told.keys()].map((key) => [key, kept(key)]));
    this.seq = Math.max(this.seq, seq);
  }

  #confirm(state) {
    const key = keyOf({ id: state.photo, again: state.again });
    const known = this.confirmed.get(key);
    if (!known || state.seq >= known.seq) this.confirmed.set(key, state);
    this.seq = Math.max(this.seq, state.seq);
  }

  #answered(message, { error, kind, photo, item, progress, history, seq = 0 }) {
    if (error) this.on.trouble(kind === "conflict" ? CONFLICT : `Not taken: ${error}`);
    if (message.annotator !== this.annotator) return; // left behind by somebody else
    const key = photo && keyOf({ id: photo.photo, again: photo.again });
    const before = this.confirmed.get(key);
    if (photo) this.#confirm(photo);
    if (item) this.items.set(key, item);
    this.seq = Math.max(this.seq, seq);
    Object.assign(this, progress && { progress }, history && { history });
    if (!error && message.do === "warmed_up") this.warmUps += 1;
    if (error) {
      const meant = keyOf({ id: message.photo, again: message.again ?? 0 });
      if (!photo && this.confirmed.has(meant)) this.load(meant).catch(() => {});
    } else if (message.do === "undo" || message.do === "redo") {
      const faces = photo && before ? changedFaces(before, photo) : [];
      this.on.undone({ key, faces, verb: message.do });
    }
  }

  /** Hear of other tabs, of the detector, and of the label file (`trouble`: why it is behind). */
  async #poll() {
    await this.outbox.adopt();
    this.outbox.pump();
    if (document.hidden) return;
    const { seq, photos, waiting, trouble } = await this.ask({ do: "changes", since: this.heard });
    this.on.heard();
    const found = waiting !== this.waiting || trouble !== this.trouble;
    Object.assign(this, { heard: seq, waiting, trouble });
    if (photos.length || found) await this.refresh(photos.map(([id, again]) => keyOf({ id, again })));
  }
}

const alike = (one, other) => JSON.stringify(one) === JSON.stringify(other);
