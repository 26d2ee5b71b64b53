// What is looked at: one photo, and one of its faces.

import { readingOrder } from "./geometry.js";
import { told } from "./labels.js";

export class Cursor {
  constructor(desk) {
    Object.assign(this, { desk, key: null, faceId: null, place: 0, nudged: null, draft: {} });
    this.orders = new Map();
  }

  get item() {
    return this.desk.item(this.key);
  }

  get state() {
    return this.desk.state(this.key);
  }

  /** The photo's faces in the order they are numbered, as they look while a box is changed, too. */
  get faces() {
    const faces = this.state?.faces ?? [];
    const { nudged } = this;
    const byId = new Map(faces.map((face) => [face.id, face]));
    if (byId.has(nudged?.id)) byId.set(nudged.id, { ...byId.get(nudged.id), box: nudged.box });
    return this.#order(faces).flatMap((id) => byId.get(id) ?? []);
  }

  get face() {
    return this.faces.find(({ id }) => id === this.faceId) ?? null;
  }

  /** What is said of the face, or (`draft`) will be together with its label. */
  get answer() {
    return this.face?.label ? this.face : this.draft;
  }

  /** "Face 3 of 12, happy". */
  describe(face, faces = this.faces) {
    const number = faces.findIndex(({ id }) => id === face.id) + 1;
    return `Face ${number} of ${faces.length}, ${told(face)}`;
  }

  moveTo(key, faceId = null) {
    Object.assign(this, { key, faceId, place: 0, draft: {} });
  }

  moveToFace(faceId) {
    Object.assign(this, { faceId, draft: {} });
  }

  /** Look at a face if there is one: the next without a label, where none was chosen or it is gone. */
  settle() {
    const { faces, face } = this;
    if (face || !faces.length) return;
    const open = ({ label }) => !label;
    const near = faces[Math.min(this.place, faces.length - 1)];
    this.moveToFace((faces.slice(this.place).find(open) ?? faces.find(open) ?? near).id);
  }

  /** The face `by` places on, round the end; null where there is none. */
  neighbor(by) {
    const { faces } = this;
    const here = faces.findIndex(({ id }) => id === this.faceId);
    return faces[(here + by + faces.length) % faces.length] ?? null;
  }

  /** Faces without a label, from the present one on, itself last. */
  get unlabelled() {
    const { faces } = this;
    const here = faces.findIndex(({ id }) => id === this.faceId) + 1;
    return [...faces.slice(here), ...faces.slice(0, here)].filter(({ label }) => !label);
  }

  /** Whether boxes may be changed: not by who adjudicates, not where faces are shown again. */
  get drawable() {
    return Boolean(this.state) && !this.desk.adjudicates && !this.item.again && !this.item.error;
  }

  /** Whether there is something to do on a photo. */
  isOpen(key) {
    const item = this.desk.item(key);
    if (this.desk.adjudicates) return item.disagree > 0;
    return !item.error && !(this.desk.state(key) ?? item).complete;
  }

  /** The next of `keys` with something to do, round the end; undefined where there is none. */
  nextOpen(keys) {
    const here = keys.indexOf(this.key);
    return [...keys.slice(here + 1), ...keys.slice(0, here)].find((key) => this.isOpen(key));
  }

  /** Ids as one reads, as of the first look at the photo; faces that came later stand last. */
  #order(faces) {
    const known = this.orders.get(this.key);
    const order = known?.length ? known : readingOrder(faces);
    order.push(...faces.map(({ id }) => id).filter((id) => !order.includes(id)));
    this.orders.set(this.key, order);
    return order;
  }
}
