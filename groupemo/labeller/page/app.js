// The page: it holds what is looked at, turns keys and buttons into actions, and has all parts drawn.

import { fetchAhead } from "./ahead.js";
import { Bar } from "./bar.js";
import { Cursor } from "./cursor.js";
import { Desk } from "./desk.js";
import { askUnfinished, askWho, fillKeys, showAgreement } from "./dialogs.js";
import { count } from "./element.js";
import { moved, resized } from "./geometry.js";
import { fillGuide } from "./guide.js";
import { furnishImport } from "./importing.js";
import { chord, commands, keyTable } from "./keys.js";
import { CONFIDENCES, isExpression, labelKeys, nameOf, told } from "./labels.js";
import { LAYOUT } from "./layout.js";
import { List } from "./list.js";
import { claimClient } from "./outbox.js";
import { Panel } from "./panel.js";
import { Pictures } from "./pictures.js";
import { Settings } from "./settings.js";
import { Stage } from "./stage.js";
import { forTab } from "./storage.js";
import { WarmUp } from "./warmup.js";

const NUDGE = 400; // milliseconds after the last arrow key until a box counts as moved
const PATIENCE = 1000; // milliseconds until the detector is asked about again
const STEPS = 25; // of an arrow key to the length of the box
const WHO = "groupemo-annotator";
const WHERE = "groupemo-photo";
const DECLINED = "groupemo-no-warm-up";
const SEEN_BEFORE = "Faces you have labelled before, shown again without their labels.";
const WARM_UP_LABELS = 9; // the expressions, and unsure

/**
 * Show the labeller in `root`. `annotator`: who labels, if that is known. `restart()` is called to
 * show it anew, for somebody else. `session` is where this tab remembers who labels, and where.
 * Returns the app, which can be closed.
 */
export function mount(root, transport, { annotator, restart, session = forTab }) {
  root.innerHTML = LAYOUT;
  root.classList.add("groupemo-labeller", "opening");
  const app = new App(root, transport, { restart, session });
  app.began = app.begin(annotator);
  return app;
}

class App {
  constructor(root, transport, { restart, session }) {
    Object.assign(this, { root, transport, restart, session, closing: new AbortController() });
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
    this.cursor = new Cursor(this.desk);
    this.#furnish();
    this.#listen();
    if (this.desk.notes.length) this.alarm(this.desk.notes.join(" "));
    const keys = [...this.desk.items.keys()];
    const last = keys.find((key) => key === this.session.getItem(WHERE));
    await this.go(last ?? keys.find((key) => this.cursor.isOpen(key)) ?? keys[0]);
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
      heard: () => this.#heard(),
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
    furnishImport(this.find("dialog.import"), this.desk);
    this.find(".try").hidden = adjudicates || this.desk.warmUps === null;
    this.warmUp = new WarmUp(this.find("dialog.warm-up"), {
      desk: this.desk,
      pictures: new Pictures(this.transport),
      labels: labels.slice(0, WARM_UP_LABELS),
      byKey: () => this.settings.has("letters"),
    });
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
      import: () => this.show("import"),
      export: () => this.#export(),
      "warm-up": () => this.#startWarmUp(),
      decline: () => this.#decline(),
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
      if (event.target.closest("button:not(dialog *)")) event.preventDefault();
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
    // The button of a dialog that was closed has the focus until the page is drawn again.
    if (control?.checkVisibility() && (name === "Enter" || name === "Space")) return;
    const own = { SELECT: /./, INPUT: /Space|Arrow|Page/ }[target.tagName];
    if (own?.test(name)) return;
    if (/^(Shift\+)?.$/.test(name) && !this.settings.has("letters")) return;
    const command = name === "Space" ? () => this.stage.hold(true) : this.commands[name];
    if (!command) return;
    if (name !== "Escape") event.preventDefault(); // it closes menus, too
    command(this);
  }

  // What is looked at

  /** Go to a photo, and there to a face (the first without a label, if none is named). */
  async go(key, face = null) {
    this.#settle();
    this.cursor.moveTo(key, face);
    this.session.setItem(WHERE, key);
    const { item } = this.cursor;
    this.#notice(item.error);
    this.#tellPainted(this.stage.open(item));
    this.render();
    if (item.again) this.say(SEEN_BEFORE);
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
    if (this.cursor.key !== key || this.closing.signal.aborted) return;
    this.#ahead();
    const again = () => this.cursor.key === key && this.#load(key);
    if (this.cursor.state?.pending) setTimeout(again, PATIENCE);
  }

  /** Say why the photo cannot be shown, or no longer. */
  async #tellPainted(painted) {
    const { key, item } = this.cursor;
    const text = await painted.then(
      () => item.error,
      ({ message }) => message,
    );
    if (this.cursor.key === key) this.#notice(text);
  }

  /** The desk can be reached: ask again for the pictures that did not come. */
  #heard() {
    if (!this.pictures.lost || !this.cursor?.key) return;
    this.pictures.lost = false;
    this.#tellPainted(this.stage.paint());
    this.panel.again();
    this.render();
    this.#ahead();
  }

  #ahead() {
    fetchAhead(this.cursor, this.list.keys, this.pictures);
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
    const { cursor } = this;
    if (id === cursor.faceId) return;
    this.#settle();
    cursor.moveToFace(id);
    this.panel.second(false);
    this.render();
    const { face } = cursor;
    if (!face) return;
    this.stage.reveal(face);
    this.#ahead();
    this.say(before + cursor.describe(face));
  }

  stepFace(by) {
    const next = this.cursor.neighbor(by);
    if (next) this.select(next.id);
    else this.say("No face in this photo. n draws one.");
  }

  stepPhoto(by) {
    const { keys } = this.list;
    const next = keys[keys.indexOf(this.cursor.key) + by];
    if (next) this.go(next);
    else this.say(by > 0 ? "This is the last photo." : "This is the first photo.");
  }

  nextUnlabelled(before = "") {
    const [next] = this.cursor.unlabelled;
    if (next) this.select(next.id, before);
    else this.say(`${before}Every face here has a label. Enter: the photo is complete.`);
  }

  // What is said of a face

  give(label) {
    const { face, answer, key } = this.cursor;
    if (!face) return this.say("No face is chosen. n draws one.");
    if (this.desk.adjudicates) {
      this.desk.adjudicate(key, face.box, label);
    } else {
      const { second, confidence } = answer;
      const other = isExpression(label) && second !== label ? second : null;
      this.#answer({ label, second: other, confidence });
    }
    this.#given(`${nameOf(label)}. `);
  }

  giveSecond(label) {
    if (!this.#answerable) return;
    const { second, label: first } = this.cursor.answer;
    if (first === label) return this.say(`${nameOf(label)} is the first choice.`);
    this.panel.second(false);
    this.#prepare({ second: second === label ? null : label });
  }

  giveConfidence(level) {
    if (!this.#answerable) return;
    this.#prepare({ confidence: this.cursor.answer.confidence === level ? null : level });
  }

  cycleConfidence() {
    this.giveConfidence(((this.cursor.answer.confidence ?? 0) % CONFIDENCES.length) + 1);
  }

  vote() {
    const { votes } = this.panel;
    const [most] = Object.entries(votes).sort(([, a], [, b]) => b - a);
    if (!this.#answerable || !most) return this.say("Move a slider first.");
    this.#answer({ label: most[0], confidence: this.cursor.answer.confidence, votes });
    this.#given("Votes given. ");
  }

  takeBack() {
    const { face, key } = this.cursor;
    if (!face?.label) return;
    if (this.desk.adjudicates) this.desk.adjudicate(key, face.box, null);
    else this.#answer({ label: null });
    this.say("Label taken back.");
  }

  get #answerable() {
    return this.cursor.face && !this.desk.adjudicates;
  }

  /** Change a part of the answer: at once where there is a label, else together with it. */
  #prepare(part) {
    const { cursor } = this;
    if (cursor.face.label) {
      const { label, second, confidence, votes } = { ...cursor.face, ...part };
      this.#answer({ label, second, confidence, votes });
      this.say(told(cursor.face));
    } else {
      Object.assign(cursor.draft, part);
      this.render();
      this.say(`Given together with the label: ${told(cursor.draft)}`);
    }
  }

  #answer(answer) {
    const given = Object.entries(answer).filter(
      ([name, value]) => name === "label" || value != null,
    );
    this.#act("label", { face: this.cursor.faceId, ...Object.fromEntries(given) });
  }

  #given(text) {
    this.cursor.draft = {};
    this.panel.second(false);
    if (this.settings.has("advance")) this.nextUnlabelled(text);
    else {
      this.render();
      this.say(text);
    }
  }

  // Boxes

  draw(inMiddle = false) {
    if (!this.cursor.drawable) return this.say("No box can be drawn here.");
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
    const { face, faces, drawable } = this.cursor;
    if (!face || !drawable) return;
    this.cursor.place = faces.indexOf(face);
    this.#act("delete", { face: face.id });
    this.say("Box deleted. Ctrl+Z brings it back.");
  }

  /** A box as it is being changed; `done`: as it shall be. */
  adjust(id, box, done) {
    if (!this.cursor.drawable) return;
    clearTimeout(this.nudging);
    this.cursor.nudged = { id, box };
    if (done) this.#settle();
    this.render();
  }

  nudge(how, x, y, pixels) {
    const { face, item } = this.cursor;
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
    const { cursor, desk } = this;
    const { nudged } = cursor;
    cursor.nudged = null;
    const face = nudged && cursor.state.faces.find(({ id }) => id === nudged.id);
    if (!face) return;
    const box = rounded(nudged.box);
    if (String(face.box) === String(box)) this.render();
    else desk.act(cursor.key, "move", { face: face.id, box });
  }

  #drawing(yes) {
    this.find("[data-do=draw]").setAttribute("aria-pressed", yes);
    if (yes) this.say("Drag over the face. Enter: a box in the middle. Escape: none.");
  }

  // Photos

  enter() {
    if (this.stage.drawing) this.stage.drawInMiddle();
    else if (this.desk.adjudicates || this.cursor.state?.complete) this.#nextOpen();
    else this.complete();
  }

  async complete() {
    const { key, state, item, faces } = this.cursor;
    if (item.error) return this.#nextOpen();
    if (!state || this.desk.adjudicates) return;
    if (state.pending) return this.say("The detector has not looked at this photo yet: a moment.");
    const left = faces.filter(({ label }) => !label);
    const asks = left.length && !state.complete;
    const sure = !asks || (await askUnfinished(this.find(".unfinished"), left.length));
    if (this.cursor.key !== key) return; // an undo led elsewhere meanwhile
    if (!sure) return this.select(left[0].id);
    this.#act("complete", { complete: !state.complete });
    if (state.complete) this.say("The photo is open again.");
    else this.#nextOpen("Complete. ");
  }

  #nextOpen(before = "") {
    const next = this.cursor.nextOpen(this.list.keys);
    if (!next) return this.say(`${before}Nothing is left to do among the photos shown.`);
    this.go(next);
    const { name, faces, again } = this.cursor.item;
    this.say(`${before}${name}, ${count(faces, "face")}. ${again ? SEEN_BEFORE : ""}`);
  }

  // Undo

  undo() {
    this.#ask("undo", "Undo");
  }

  redo() {
    this.#ask("redo", "Redo");
  }

  /** Have the desk undo or redo, and know from where: who has gone on by then stays there. */
  #ask(verb, name) {
    this.#settle();
    this.undoneAt = this.#here;
    this.desk[verb]();
    if (this.desk.outbox.trouble) this.say(`${name} waits until the rest is saved.`);
  }

  #undone({ key, faces, verb }) {
    const word = verb === "undo" ? "Undone" : "Redone";
    if (!key) return this.say(`There is nothing to ${verb}.`);
    const { cursor } = this;
    if (this.undoneAt !== this.#here) {
      return this.say(`${word}, in ${this.desk.item(key).name}.`);
    }
    if (key !== cursor.key) this.go(key, faces[0]);
    else if (faces[0]) this.select(faces[0]);
    this.render();
    this.undoneAt = this.#here;
    this.say(faces.length && cursor.face ? `${word}: ${cursor.describe(cursor.face)}` : `${word}.`);
  }

  get #here() {
    return `${this.cursor.key} ${this.cursor.faceId}`;
  }

  #act(kind, body) {
    this.#settle();
    this.desk.act(this.cursor.key, kind, body);
  }

  // Dialogs and what is told

  show(name) {
    this.find(`dialog.${name}`).showModal();
  }

  async #startWarmUp() {
    this.find("dialog.guide").close();
    try {
      await this.warmUp.open();
    } catch (error) {
      this.alarm(error.message);
    }
  }

  #decline() {
    this.session.setItem(DECLINED, "yes");
    this.render();
  }

  /** Whether somebody is new here, and could warm up. */
  get #offersWarmUp() {
    const { adjudicates, warmUps, progress } = this.desk;
    const fresh = !adjudicates && warmUps === 0 && !progress.labelled;
    return fresh && !this.session.getItem(DECLINED);
  }

  escape() {
    this.stage.draw(false);
    this.panel.second(false);
    if (!this.#wide) this.#showList(false);
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
    const { key, item } = this.cursor;
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
    const { cursor, desk } = this;
    if (!cursor?.key) return;
    cursor.settle();
    const { faces, face, faceId, item, key } = cursor;
    const changing = Boolean(cursor.nudged);
    const tagged = (one) => ({
      ...one,
      name: cursor.describe(one, faces),
      tag: one.label ? nameOf(one.label) : "",
    });
    this.stage.render(faces.map(tagged), faceId, cursor.drawable);
    this.panel.render({
      item,
      face,
      changing,
      answer: cursor.answer,
      place: [faces.findIndex(({ id }) => id === faceId) + 1, faces.length],
      state: cursor.state,
      guess: this.find("[name=guess]").checked ? this.guesses.get(key)?.[faceId] : null,
      adjudicates: desk.adjudicates,
    });
    this.list.render(desk.items, key);
    this.bar.render({ desk, item, place: [...desk.items.keys()].indexOf(key) + 1, changing });
    this.find(".offer").hidden = !this.#offersWarmUp;
    this.#tellTrouble(desk.outbox.trouble);
    this.#tellBehind(desk.trouble);
  }

  /** Say that the label file cannot be written, for as long as it cannot. */
  #tellBehind(trouble) {
    const text = trouble ? `The labels file is behind, your labels are safe: ${trouble}` : "";
    const place = this.find(".behind");
    if (place.textContent !== text) place.textContent = text;
    place.hidden = !text;
  }

  #tellTrouble(trouble) {
    if (trouble && !this.troubled) {
      this.say(`Not saved: ${trouble.message}. Go on: it is kept here, and sent when it can be.`);
    }
    this.troubled = trouble;
  }
}

const rounded = (box) => box.map((value) => Math.round(value * 10) / 10);
