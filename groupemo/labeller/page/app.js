// The page: it holds what is looked at, turns keys and buttons into actions, and has all parts drawn.

import { Bar } from "./bar.js";
import { Desk } from "./desk.js";
import { askUnfinished, askWho, fillKeys, showAgreement } from "./dialogs.js";
import { count } from "./element.js";
import { moved, readingOrder, resized } from "./geometry.js";
import { fillGuide } from "./guide.js";
import { chord, commands, keyTable } from "./keys.js";
import { CONFIDENCES, isExpression, labelKeys, nameOf, told } from "./labels.js";
import { LAYOUT } from "./layout.js";
import { List } from "./list.js";
import { claimClient } from "./outbox.js";
import { Panel } from "./panel.js";
import { Pictures } from "./pictures.js";
import { Settings } from "./settings.js";
import { Stage } from "./stage.js";

const NUDGE = 400; // milliseconds after the last arrow key until a box counts as moved
const STEPS = 25; // of an arrow key to the length of the box
const FACES_AHEAD = 4;
const PHOTOS_AHEAD = 2;
const WHO = "groupemo-annotator";
const WHERE = "groupemo-photo";

/**
 * Show the labeller in `root`. `annotator`: who labels, if that is known. `restart()` is called to
 * show it anew, for somebody else. `session` is where this tab remembers who labels, and where.
 * Returns the app, which can be closed.
 */
export function mount(root, transport, { annotator, restart, session = sessionStorage }) {
  root.innerHTML = LAYOUT;
  root.classList.add("groupemo-labeller", "opening");
  const app = new App(root, transport, { restart, session });
  app.began = app.begin(annotator);
  return app;
}

class App {
  constructor(root, transport, { restart, session }) {
    Object.assign(this, {
      root,
      transport,
      restart,
      session,
      closing: new AbortController(),
      key: null,
      faceId: null,
      draft: {},
      nudged: null,
    });
    this.orders = new Map();
    this.guesses = new Map();
    this.settings = new Settings(root, "advance", "letters");
    this.pictures = new Pictures(transport);
    this.bar = new Bar(this.find(".bar"));
    this.stage = new Stage(this.find(".view"), this.pictures, {
      select: (id) => this.select(id),
      adjust: (id, box, done) => this.adjust(id, box, done),
      add: (box) => this.add(box),
      drawing: (yes) => this.#drawing(yes),
    });
    this.panel = new Panel(this.find(".panel"), this.pictures, {
      give: (label) => this.give(label),
      second: (label) => this.giveSecond(label),
      confidence: (level) => this.giveConfidence(level),
    });
    this.list = new List(this.find(".list"), {
      onpick: (key) => this.#picked(key),
      onfilter: () => this.#ahead(),
    });
  }

  find(selector) {
    return this.root.querySelector(selector);
  }

  // Beginning

  async begin(annotator) {
    this.claim = claimClient(this.session);
    const { client } = await this.claim;
    const stored = this.session.getItem(WHO);
    let who = stored ? JSON.parse(stored) : annotator ? { annotator, role: "annotator" } : null;
    let wrong = null;
    while (!this.desk) {
      who ??= await askWho(this.find(".hello"), wrong);
      try {
        this.desk = await this.#open({ ...who, client });
      } catch (error) {
        wrong = error.message;
        who = null;
      }
    }
    this.session.setItem(WHO, JSON.stringify(who));
    this.#furnish();
    this.#listen();
    if (this.desk.notes.length) this.alarm(this.desk.notes.join(" "));
    const keys = [...this.desk.items.keys()];
    const last = keys.find((key) => key === this.session.getItem(WHERE));
    await this.go(last ?? keys.find((key) => this.#isOpen(key)) ?? keys[0]);
  }

  /** Send nothing more, and let go of what is held: what waits is kept for the next. */
  close() {
    if (this.desk) this.#settle();
    this.desk?.close();
    this.claim.then(({ release }) => release());
    this.closing.abort();
  }

  async #open(who) {
    const desk = new Desk(this.transport, who, {
      change: () => this.render(),
      trouble: (text) => this.alarm(text),
      undone: (what) => this.#undone(what),
    });
    await desk.open();
    if (this.closing.signal.aborted) desk.close();
    return desk;
  }

  #furnish() {
    const { classes, adjudicates, annotator, settings } = this.desk;
    const labels = labelKeys(classes);
    const table = keyTable(labels);
    this.commands = commands(table);
    this.panel.offer(labels, classes);
    this.list.offer(adjudicates);
    this.root.classList.toggle("adjudicates", adjudicates);
    this.find(".guess").hidden = adjudicates || !settings.backends.length;
    this.find("[data-do=name]").textContent = `${annotator}: change the name`;
    this.find(".more").popoverTargetElement = this.find(".menu");
    fillGuide(this.find(".meanings"), new Map(labels));
    fillKeys(this.find("dialog.keys"), table);
    this.#showList(this.#wide);
    this.root.classList.remove("opening");
  }

  #listen() {
    const buttons = {
      "previous-photo": () => this.stepPhoto(-1),
      "next-photo": () => this.stepPhoto(1),
      "previous-face": () => this.stepFace(-1),
      "next-face": () => this.stepFace(1),
      list: () => this.#showList(this.find(".list").hidden),
      undo: () => this.undo(),
      redo: () => this.redo(),
      guide: () => this.show("guide"),
      keys: () => this.show("keys"),
      agreement: () => showAgreement(this.find("dialog.agreement"), this.desk),
      export: () => this.#export(),
      theme: () => this.settings.nextTheme(),
      name: () => this.#rename(),
      calm: () => (this.find(".alarm").hidden = true),
      skip: () => this.find(".panel").focus(),
      draw: (event) => this.draw(event.detail === 0),
      closer: () => this.stage.zoom(1),
      farther: () => this.stage.zoom(-1),
      fit: () => this.stage.fit(),
      delete: () => this.remove(),
      second: () => this.panel.second(!this.panel.seconding),
      complete: () => this.complete(),
      vote: () => this.vote(),
    };
    this.root.addEventListener("click", (event) => {
      const button = event.target.closest("[data-do]");
      if (!button) return;
      const { do: name } = button.dataset;
      if (button.closest(".menu") && name !== "theme") this.find(".menu").hidePopover();
      buttons[name](event);
    });
    // A button that was clicked does not keep the focus: Enter and Space go on meaning the photo.
    this.root.addEventListener("mousedown", (event) => {
      if (event.target.closest(".panel button, .bar button")) event.preventDefault();
    });
    this.find("[name=guess]").addEventListener("change", () => this.#guess());
    this.root.addEventListener("keydown", (event) => this.#key(event));
    this.root.addEventListener("keyup", (event) => event.key === " " && this.stage.hold(false));
    const { signal } = this.closing;
    addEventListener("pagehide", () => this.#settle(), { signal });
    addEventListener("online", () => this.desk.outbox.hurry(), { signal });
  }

  #key(event) {
    if (event.defaultPrevented || event.isComposing || this.find("dialog[open]")) return;
    const name = chord(event);
    const { target } = event;
    const control = target.closest("button:not(.box), summary");
    if (control && (name === "Enter" || name === "Space")) return;
    const own = { SELECT: /./, INPUT: /Space|Arrow|Page/ }[target.tagName];
    if (own?.test(name)) return;
    if (/^(Shift\+)?.$/.test(name) && !this.settings.has("letters")) return;
    const command = name === "Space" ? () => this.stage.hold(true) : this.commands[name];
    if (!command) return;
    if (name !== "Escape") event.preventDefault(); // it closes menus, too
    command(this);
  }

  // What is looked at

  get item() {
    return this.desk.item(this.key);
  }

  get state() {
    return this.desk.state(this.key);
  }

  /** Faces of the present photo in the order they are numbered, as they look right now. */
  get faces() {
    const faces = this.state?.faces ?? [];
    const { nudged } = this;
    const byId = new Map(faces.map((face) => [face.id, face]));
    if (byId.has(nudged?.id)) byId.set(nudged.id, { ...byId.get(nudged.id), box: nudged.box });
    return this.#order(faces).flatMap((id) => byId.get(id) ?? []);
  }

  /** Ids as one reads, as of the first look at the photo; faces that came later stand last. */
  #order(faces) {
    const known = this.orders.get(this.key);
    const order = known?.length ? known : readingOrder(faces);
    order.push(...faces.map(({ id }) => id).filter((id) => !order.includes(id)));
    this.orders.set(this.key, order);
    return order;
  }

  get face() {
    return this.faces.find(({ id }) => id === this.faceId) ?? null;
  }

  /** Go to a photo, and there to a face (the first without a label, if none is named). */
  async go(key, face = null) {
    this.#settle();
    Object.assign(this, { key, faceId: face, place: 0, draft: {} });
    this.session.setItem(WHERE, key);
    this.#notice(this.item.error);
    this.stage.open(this.item).catch((error) => this.#notice(error.message));
    this.render();
    this.list.reveal();
    this.#guess();
    await this.#load(key);
  }

  async #load(key) {
    try {
      await this.desk.load(key);
    } catch (error) {
      this.alarm(error.message);
    }
    if (this.key !== key) return;
    this.#ahead();
    if (this.state?.pending) setTimeout(() => this.key === key && this.#load(key), 1000);
  }

  /** Whether the list has a place of its own beside the photo. */
  get #wide() {
    return getComputedStyle(this.find(".list")).position === "static";
  }

  #picked(key) {
    if (!this.#wide) this.#showList(false);
    this.go(key);
  }

  select(id, before = "") {
    if (id === this.faceId) return;
    this.#settle();
    Object.assign(this, { faceId: id, draft: {} });
    this.panel.second(false);
    this.render();
    const { face, faces } = this;
    if (!face) return;
    this.stage.reveal(face);
    this.#ahead();
    this.say(`${before}Face ${faces.indexOf(face) + 1} of ${faces.length}, ${told(face)}`);
  }

  stepFace(by) {
    const { faces } = this;
    if (!faces.length) return this.say("No face in this photo. n draws one.");
    const here = faces.findIndex(({ id }) => id === this.faceId);
    this.select(faces[(here + by + faces.length) % faces.length].id);
  }

  stepPhoto(by) {
    const { keys } = this.list;
    const next = keys[keys.indexOf(this.key) + by];
    if (next) this.go(next);
    else this.say(by > 0 ? "This is the last photo." : "This is the first photo.");
  }

  nextUnlabelled(before = "") {
    const next = this.#upcoming()[0];
    if (next) this.select(next.id, before);
    else this.say(`${before}Every face here has a label. Enter: the photo is complete.`);
  }

  /** Faces without a label, from the present one on, itself last. */
  #upcoming() {
    const { faces } = this;
    const here = faces.findIndex(({ id }) => id === this.faceId) + 1;
    return [...faces.slice(here), ...faces.slice(0, here)].filter(({ label }) => !label);
  }

  /** Fetch what will be looked at next. */
  async #ahead() {
    const { key, item, desk, pictures } = this;
    if (!item.error) pictures.prepare(item.id, boxesOf(this.#upcoming().slice(0, FACES_AHEAD)));
    await pictures.photo(item.id).promise.catch(() => {});
    const { keys } = this.list;
    const here = keys.indexOf(key) + 1;
    for (const next of keys.slice(here, here + PHOTOS_AHEAD)) {
      if (desk.item(next).error || this.key !== key) continue;
      if (!desk.state(next)) await desk.load(next).catch(() => {});
      const faces = desk.state(next)?.faces ?? [];
      const first = readingOrder(faces).slice(0, 2);
      pictures.prepare(desk.item(next).id, boxesOf(faces.filter(({ id }) => first.includes(id))));
    }
  }

  // What is said of a face

  give(label) {
    const { face } = this;
    if (!face) return this.say("No face is chosen. n draws one.");
    if (this.desk.adjudicates) {
      this.desk.adjudicate(this.key, face.box, label);
    } else {
      const { second, confidence } = this.#prepared(face);
      const other = isExpression(label) && second !== label ? second : null;
      this.#answer(face, { label, second: other, confidence });
    }
    this.#given(`${nameOf(label)}. `);
  }

  giveSecond(label) {
    const { face } = this;
    if (!face || this.desk.adjudicates) return;
    const { second, label: first } = this.#prepared(face);
    if (first === label) return this.say(`${nameOf(label)} is the first choice.`);
    this.panel.second(false);
    this.#prepare(face, { second: second === label ? null : label });
  }

  giveConfidence(level) {
    const { face } = this;
    if (!face || this.desk.adjudicates) return;
    const { confidence } = this.#prepared(face);
    this.#prepare(face, { confidence: confidence === level ? null : level });
  }

  cycleConfidence() {
    const { face } = this;
    if (face)
      this.giveConfidence(((this.#prepared(face).confidence ?? 0) % CONFIDENCES.length) + 1);
  }

  vote() {
    const { face } = this;
    const { votes } = this.panel;
    const [most] = Object.entries(votes).sort(([, a], [, b]) => b - a);
    if (!face || !most) return this.say("Move a slider first.");
    this.#answer(face, { label: most[0], confidence: this.#prepared(face).confidence, votes });
    this.#given("Votes given. ");
  }

  takeBack() {
    const { face } = this;
    if (!face?.label) return;
    if (this.desk.adjudicates) this.desk.adjudicate(this.key, face.box, null);
    else this.#answer(face, { label: null });
    this.say("Label taken back.");
  }

  /** What is said of a face, or will be, together with its label. */
  #prepared(face) {
    return face.label ? face : this.draft;
  }

  #prepare(face, part) {
    if (face.label) {
      const { label, second, confidence, votes } = { ...face, ...part };
      this.#answer(face, { label, second, confidence, votes });
      this.say(told(this.face));
    } else {
      Object.assign(this.draft, part);
      this.render();
      this.say(`Together with the label: ${told({ label: "...", ...this.draft })}`);
    }
  }

  #answer(face, answer) {
    const given = Object.entries(answer).filter(
      ([name, value]) => name === "label" || value != null,
    );
    this.#act("label", { face: face.id, ...Object.fromEntries(given) });
  }

  #given(text) {
    this.draft = {};
    this.panel.second(false);
    if (this.settings.has("advance")) this.nextUnlabelled(text);
    else this.say(text);
  }

  // Boxes

  /** Whether boxes may be changed: not by who adjudicates, not where faces are shown again. */
  get drawable() {
    return !this.desk.adjudicates && !this.item.again && !this.item.error;
  }

  draw(inMiddle = false) {
    if (!this.drawable) return this.say("No box can be drawn here.");
    if (inMiddle) this.stage.drawInMiddle();
    else this.stage.draw(!this.stage.drawing);
  }

  add(box) {
    const face = `d${crypto.randomUUID()}`;
    this.#act("add", { face, box: rounded(box) });
    this.select(face);
    this.say("Face added. Arrows move it, Shift and arrows resize it.");
  }

  remove() {
    const { face, faces } = this;
    if (!face || !this.drawable) return;
    this.place = faces.indexOf(face);
    this.#act("delete", { face: face.id });
    this.say("Box deleted. Ctrl+Z brings it back.");
  }

  /** A box as it is being changed; `done`: as it shall be. */
  adjust(id, box, done) {
    if (!this.drawable) return;
    clearTimeout(this.nudging);
    this.nudged = { id, box };
    if (done) this.#settle();
    this.render();
  }

  nudge(how, x, y, pixels) {
    const { face, item } = this;
    if (!face) return;
    const { id, box } = face;
    const length = Math.max(box[2] - box[0], box[3] - box[1]);
    const step = pixels ?? Math.max(1, Math.round(length / STEPS));
    const change = [x * step, y * step, [item.width, item.height]];
    const changed = how === "move" ? moved(box, ...change) : resized(box, "se", ...change);
    this.adjust(id, changed, false);
    this.stage.reveal({ id, box: changed });
    this.nudging = setTimeout(() => this.#settle(), NUDGE);
  }

  /** Make an action of a box that was changed. */
  #settle() {
    clearTimeout(this.nudging);
    const { nudged } = this;
    this.nudged = null;
    const known = nudged && this.state.faces.find(({ id }) => id === nudged.id);
    if (!known) return;
    const box = rounded(nudged.box);
    if (String(known.box) !== String(box)) this.desk.act(this.key, "move", { face: known.id, box });
    else this.render();
  }

  #drawing(yes) {
    this.find("[data-do=draw]").setAttribute("aria-pressed", yes);
    if (yes) this.say("Drag over the face. Enter: a box in the middle. Escape: none.");
  }

  // Photos

  enter() {
    if (this.stage.drawing) this.stage.drawInMiddle();
    else if (this.desk.adjudicates || this.state?.complete) this.#nextOpen();
    else this.complete();
  }

  async complete() {
    const { state, item } = this;
    if (item.error) return this.#nextOpen();
    if (!state || this.desk.adjudicates) return;
    if (state.pending) return this.say("The detector has not looked at this photo yet: a moment.");
    const left = this.faces.filter(({ label }) => !label);
    const asks = left.length && !state.complete;
    if (asks && !(await askUnfinished(this.find(".unfinished"), left.length))) {
      return this.select(left[0].id);
    }
    this.#act("complete", { complete: !state.complete });
    if (state.complete) this.say("The photo is open again.");
    else this.#nextOpen("Complete. ");
  }

  /** Go to the next photo with something to do, round the end of the list. */
  #nextOpen(before = "") {
    const { keys } = this.list;
    const here = keys.indexOf(this.key);
    const next = [...keys.slice(here + 1), ...keys.slice(0, here)].find((key) => this.#isOpen(key));
    if (!next) return this.say(`${before}Nothing is left to do among the photos shown.`);
    this.go(next);
    this.say(`${before}${this.item.name}, ${count(this.item.faces, "face")}.`);
  }

  /** Whether there is something to do on a photo. */
  #isOpen(key) {
    const item = this.desk.item(key);
    if (this.desk.adjudicates) return item.disagree > 0;
    return !item.error && !(this.desk.state(key) ?? item).complete;
  }

  // Undo

  undo() {
    this.#settle();
    this.desk.undo();
    this.#waits("Undo");
  }

  redo() {
    this.#settle();
    this.desk.redo();
    this.#waits("Redo");
  }

  #waits(what) {
    if (this.desk.outbox.trouble) this.say(`${what} waits until the rest is saved.`);
  }

  #undone({ key, faces, verb }) {
    const word = verb === "undo" ? "Undone" : "Redone";
    if (!key) return this.say(`There is nothing to ${verb}.`);
    if (key !== this.key) this.go(key, faces[0]);
    else if (faces[0]) this.select(faces[0]);
    this.render();
    const { face } = this;
    const about =
      face && faces.length ? `: face ${this.faces.indexOf(face) + 1}, ${told(face)}` : "";
    this.say(`${word}${about}.`);
  }

  #act(kind, body) {
    this.#settle();
    this.desk.act(this.key, kind, body);
  }

  // Dialogs and what is told

  show(name) {
    this.find(`dialog.${name}`).showModal();
  }

  escape() {
    if (this.stage.drawing) this.stage.draw(false);
    this.panel.second(false);
  }

  async #export() {
    try {
      const { path, faces, photos } = await this.desk.ask({ do: "export" });
      const written = `${count(faces, "face")} in ${count(photos, "photo")}`;
      this.say(path ? `${written} written to ${path}.` : "There is no label to write yet.");
    } catch (error) {
      this.alarm(error.message);
    }
  }

  async #guess() {
    const { key, item } = this;
    if (this.find("[name=guess]").checked && !this.guesses.has(key)) {
      try {
        const { guesses } = await this.desk.ask({ do: "guess", photo: item.id });
        this.guesses.set(key, guesses);
      } catch (error) {
        this.say(error.message);
      }
    }
    this.render();
  }

  #rename() {
    this.#settle();
    this.session.setItem(WHO, "null");
    this.restart();
  }

  #showList(yes) {
    this.find(".list").hidden = !yes;
    this.find("[data-do=list]").setAttribute("aria-expanded", yes);
    if (yes) this.list.reveal();
  }

  #notice(text) {
    Object.assign(this.find(".notice"), { hidden: !text, textContent: text ?? "" });
  }

  /** Say what was done. */
  say(text) {
    this.find(".said").textContent = text;
  }

  /** Say what went wrong, until it is read. */
  alarm(text) {
    this.find(".alarm span").textContent = text;
    this.find(".alarm").hidden = false;
  }

  // Drawing all parts

  render() {
    if (!this.key) return;
    const { desk, item, key } = this;
    const faces = this.faces.map((face, index, { length }) => ({
      ...face,
      name: `Face ${index + 1} of ${length}, ${told(face)}`,
      tag: face.label ? nameOf(face.label) : "",
    }));
    this.#choose(faces);
    const { face } = this;
    const place = [...desk.items.keys()].indexOf(key) + 1;
    this.stage.render(faces, this.faceId);
    this.panel.render({
      item,
      face,
      rough: Boolean(this.nudged),
      answer: face && this.#prepared(face),
      place: [faces.findIndex(({ id }) => id === this.faceId) + 1, faces.length],
      state: this.state,
      guess: this.find("[name=guess]").checked ? this.guesses.get(key)?.[this.faceId] : null,
      adjudicates: desk.adjudicates,
    });
    this.list.render(desk.items, key);
    this.bar.render({ desk, item, place, changing: Boolean(this.nudged) });
    this.#tellTrouble(desk.outbox.trouble);
  }

  /** Choose a face where none is chosen, or the one that was is gone. */
  #choose(faces) {
    if (!faces.length || faces.some(({ id }) => id === this.faceId)) return;
    const open = ({ label }) => !label;
    const near = faces[Math.min(this.place, faces.length - 1)];
    this.faceId = (faces.slice(this.place).find(open) ?? faces.find(open) ?? near).id;
  }

  #tellTrouble(trouble) {
    if (trouble && !this.troubled) {
      this.say(`Not saved: ${trouble.message}. Go on: it is kept here, and sent when it can be.`);
    }
    this.troubled = trouble;
  }
}

const boxesOf = (faces) => faces.map(({ box }) => box);

const rounded = (box) => box.map((value) => Math.round(value * 10) / 10);
