// The page: it holds what is looked at, turns keys and buttons into actions, and has all parts drawn.

import { agreementFigures } from "./agreement.js";
import { Desk, keyOf } from "./desk.js";
import { count, element } from "./element.js";
import { moved, readingOrder, resized } from "./geometry.js";
import { fillGuide } from "./guide.js";
import { chord, commands, keyTable } from "./keys.js";
import { CONFIDENCES, isExpression, labelKeys, nameOf, told } from "./labels.js";
import { LAYOUT } from "./layout.js";
import { List } from "./list.js";
import { claimClient } from "./outbox.js";
import { Panel } from "./panel.js";
import { Pictures } from "./pictures.js";
import { Stage } from "./stage.js";

const NUDGE = 400; // milliseconds after the last arrow key until a box counts as moved
const FACES_AHEAD = 4;
const PHOTOS_AHEAD = 2;
const THEMES = ["automatic", "light", "dark"];

/** Show the labeller in `root`. `restart()` shows it anew, for another annotator. */
export async function mount(root, transport, { annotator, restart }) {
  root.innerHTML = LAYOUT;
  root.classList.add("groupemo-labeller", "opening");
  const app = new App(root, transport, restart);
  await app.begin(annotator);
}

class App {
  constructor(root, transport, restart) {
    Object.assign(this, { root, transport, restart, key: null, faceId: null, nudged: null });
    this.orders = new Map();
    this.guesses = new Map();
    this.draft = {};
    this.pictures = new Pictures(transport);
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

  async begin(proposed) {
    this.#theme(localStorage.getItem("groupemo-theme") ?? "automatic");
    const client = await claimClient();
    const stored = JSON.parse(sessionStorage.getItem("groupemo-annotator") ?? "null");
    let who = stored ?? (proposed ? { annotator: proposed, role: "annotator" } : null);
    for (let wrong = null; ; ) {
      who ??= await this.#askWho(wrong);
      this.desk = new Desk(this.transport, { ...who, client }, {
        change: () => this.render(),
        trouble: (text) => this.alarm(text),
        undone: (what) => this.#undone(what),
      });
      try {
        await this.desk.open();
        break;
      } catch (error) {
        wrong = error.message;
        who = null;
      }
    }
    sessionStorage.setItem("groupemo-annotator", JSON.stringify(who));
    this.root.classList.remove("opening");
    this.#furnish();
    this.#listen();
    const last = sessionStorage.getItem("groupemo-photo");
    const keys = [...this.desk.items.keys()];
    const first = keys.find((key) => this.#open(key)) ?? keys[0];
    if (this.desk.notes.length) this.alarm(this.desk.notes.join(" "));
    await this.go(this.desk.item(last) ? last : first);
  }

  async #askWho(wrong) {
    const dialog = this.find(".hello");
    const form = dialog.querySelector("form");
    form.elements.annotator.value ||= localStorage.getItem("groupemo-annotator") ?? "";
    const text = dialog.querySelector(".wrong");
    Object.assign(text, { hidden: !wrong, textContent: wrong ?? "" });
    dialog.oncancel = (event) => event.preventDefault();
    dialog.showModal();
    await new Promise((done) => (form.onsubmit = done));
    const { annotator, role } = Object.fromEntries(new FormData(form));
    localStorage.setItem("groupemo-annotator", annotator.trim());
    return { annotator: annotator.trim(), role };
  }

  #furnish() {
    const { classes, adjudicates, annotator } = this.desk;
    this.labels = labelKeys(classes);
    const table = keyTable(this.labels);
    this.commands = commands(table);
    this.panel.offer(this.labels, classes);
    this.list.offer(adjudicates);
    this.root.classList.toggle("adjudicates", adjudicates);
    this.find(".guess").hidden = adjudicates || !this.desk.settings.backends.length;
    this.find("[data-do=name]").textContent = `${annotator}: change the name`;
    this.find("[name=advance]").checked = localStorage.getItem("groupemo-advance") !== "no";
    this.find("[name=letters]").checked = localStorage.getItem("groupemo-letters") !== "no";
    fillGuide(this.find(".meanings"), (label) => this.labels.find(([one]) => one === label)[1], nameOf);
    const rows = table.map(([keys, does]) =>
      does ? element("tr", {}, element("th", { scope: "row" }, element("kbd", {}, keys)), element("td", {}, does)) : element("tr", {}, element("th", { colSpan: 2, scope: "rowgroup", className: "group" }, keys)),
    );
    this.find(".tables").replaceChildren(element("table", {}, element("tbody", {}, ...rows)));
    this.find(".more").popoverTargetElement = this.find(".menu");
    this.#showList(wide());
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
      agreement: () => this.#agreement(),
      export: () => this.#export(),
      theme: () => this.#theme(THEMES[(THEMES.indexOf(this.theme) + 1) % THEMES.length]),
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
      if (button.closest(".menu") && button.dataset.do !== "theme") this.find(".menu").hidePopover();
      buttons[button.dataset.do](event);
    });
    // A button that was clicked does not keep the focus: Enter and Space go on meaning the photo.
    this.root.addEventListener("mousedown", (event) => {
      if (event.target.closest(".panel button, .bar button")) event.preventDefault();
    });
    this.root.addEventListener("change", ({ target }) => {
      if (target.name === "guess") this.#guess();
      if (target.name === "advance" || target.name === "letters") localStorage.setItem(`groupemo-${target.name}`, target.checked ? "yes" : "no");
    });
    this.root.addEventListener("keydown", (event) => this.#key(event));
    this.root.addEventListener("keyup", (event) => event.key === " " && this.stage.hold(false));
    addEventListener("pagehide", () => this.#settle());
    addEventListener("online", () => this.desk.outbox.hurry());
  }

  #key(event) {
    if (event.defaultPrevented || event.isComposing || this.find("dialog[open]")) return;
    const name = chord(event);
    const { target } = event;
    const control = target.closest("button:not(.box), summary, select");
    if (control && (name === "Enter" || name === "Space")) return;
    if (target.matches("select, [type=range]") || (name === "Space" && target.matches("input"))) return;
    const character = /^(Shift\+)?[^+]$|^[+]$/.test(name);
    if (character && !this.find("[name=letters]").checked) return;
    const command = name === "Space" ? () => this.stage.hold(true) : this.commands[name];
    if (!command) return;
    if (name !== "Escape") event.preventDefault(); // it closes menus, too
    command(this);
  }

  // What is looked at

  get item() {
    return this.desk.item(this.key);
  }

  /** Faces of the present photo in the order they are numbered, as they look right now. */
  get faces() {
    const faces = this.desk.state(this.key)?.faces ?? [];
    const known = this.orders.get(this.key)?.length ? this.orders.get(this.key) : readingOrder(faces);
    const order = [...known, ...faces.map(({ id }) => id).filter((id) => !known.includes(id))];
    this.orders.set(this.key, order);
    const byId = new Map(faces.map((face) => [face.id, face.id === this.nudged?.id ? { ...face, box: this.nudged.box } : face]));
    return order.filter((id) => byId.has(id)).map((id) => byId.get(id));
  }

  get face() {
    return this.faces.find(({ id }) => id === this.faceId) ?? null;
  }

  /** Go to a photo, and there to a face (the first without a label, if none is named). */
  async go(key, face = null) {
    this.#settle();
    Object.assign(this, { key, faceId: face, place: 0, draft: {} });
    sessionStorage.setItem("groupemo-photo", key);
    const { item } = this;
    const notice = this.find(".notice");
    Object.assign(notice, { hidden: !item.error, textContent: item.error ?? "" });
    this.stage.open(item).catch((error) => Object.assign(notice, { hidden: false, textContent: error.message }));
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
    if (this.desk.state(key)?.pending) setTimeout(() => this.key === key && this.#load(key), 1000);
  }

  select(id) {
    if (id === this.faceId) return;
    this.#settle();
    Object.assign(this, { faceId: id, draft: {} });
    this.panel.second(false);
    this.render();
    const { face, faces } = this;
    if (!face) return;
    this.stage.reveal(face);
    this.#ahead();
    this.said = `Face ${faces.indexOf(face) + 1} of ${faces.length}, ${told(face)}`;
    this.say(this.said);
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

  /** Go to the next face without a label; says so if there is none. */
  nextUnlabelled(before = "") {
    const next = this.#upcoming()[0];
    if (next && next.id !== this.faceId) {
      this.select(next.id);
      this.say(`${before}${this.said}`);
    } else if (!next) this.say(`${before}Every face here has a label. Enter: the photo is complete.`);
  }

  /** Faces without a label, from the present one on. */
  #upcoming() {
    const { faces } = this;
    const here = faces.findIndex(({ id }) => id === this.faceId);
    return [...faces.slice(here + 1), ...faces.slice(0, here + 1)].filter(({ label }) => !label);
  }

  /** Fetch what will be looked at next. */
  async #ahead() {
    const { key, item } = this;
    this.pictures.prepare(item.id, this.#upcoming().slice(0, FACES_AHEAD).map(({ box }) => box));
    await this.pictures.photo(item.id).promise.catch(() => {});
    const { keys } = this.list;
    const here = keys.indexOf(key);
    for (const next of keys.slice(here + 1, here + 1 + PHOTOS_AHEAD)) {
      if (this.desk.item(next).error || this.key !== key) continue;
      if (!this.desk.state(next)) await this.desk.load(next).catch(() => {});
      const faces = this.desk.state(next)?.faces ?? [];
      const first = readingOrder(faces).slice(0, 2);
      this.pictures.prepare(this.desk.item(next).id, faces.filter(({ id }) => first.includes(id)).map(({ box }) => box));
    }
  }

  // What is said of a face

  give(label) {
    const { face } = this;
    if (!face) return this.say("No face is chosen. n draws one.");
    if (this.desk.adjudicates) {
      this.desk.adjudicate(this.key, face.box, label);
    } else {
      const { second, confidence } = face.label ? face : this.draft;
      const other = isExpression(label) && second !== label ? second : null;
      this.#answer(face, { label, second: other, confidence });
    }
    this.#labelled(`${nameOf(label)}. `);
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
    this.#prepare(face, { confidence: this.#prepared(face).confidence === level ? null : level });
  }

  cycleConfidence() {
    if (this.face) this.giveConfidence(((this.#prepared(this.face).confidence ?? 0) % 3) + 1);
  }

  vote() {
    const { face } = this;
    const { votes } = this.panel;
    const [[label] = []] = Object.entries(votes).sort(([, a], [, b]) => b - a);
    if (!face || !label) return this.say("Move a slider first.");
    this.#answer(face, { label, confidence: this.#prepared(face).confidence, votes });
    this.#labelled("Votes given. ");
  }

  takeBack() {
    const { face } = this;
    if (!face?.label) return;
    if (this.desk.adjudicates) this.desk.adjudicate(this.key, face.box, null);
    else this.#answer(face, { label: null });
    this.say("Label taken back.");
  }

  /** What is said of a face, or will be with its label. */
  #prepared(face) {
    return face.label ? face : this.draft;
  }

  #prepare(face, part) {
    if (face.label) {
      const { label, second, confidence, votes } = { ...face, ...part };
      this.#answer(face, { label, second, confidence, votes });
    } else {
      Object.assign(this.draft, part);
      this.render();
    }
    const { second, confidence } = this.#prepared(this.face);
    this.say(`With the label: ${[second && `second choice ${nameOf(second)}`, confidence && CONFIDENCES[confidence - 1]].filter(Boolean).join(", ") || "nothing more"}.`);
  }

  #answer(face, answer) {
    const given = Object.entries(answer).filter(([name, value]) => name === "label" || value != null);
    this.#act("label", { face: face.id, ...Object.fromEntries(given) });
  }

  #labelled(text) {
    this.draft = {};
    this.panel.second(false);
    if (this.find("[name=advance]").checked) this.nextUnlabelled(text);
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
    const { face } = this;
    if (!face) return;
    const [x1, y1, x2, y2] = face.box;
    const step = pixels ?? Math.max(1, Math.round(Math.max(x2 - x1, y2 - y1) / 25));
    const photo = [this.item.width, this.item.height];
    const box = how === "move" ? moved(face.box, x * step, y * step, photo) : resized(face.box, "se", x * step, y * step, photo);
    this.adjust(face.id, box, false);
    this.stage.reveal({ id: face.id, box });
    this.nudging = setTimeout(() => this.#settle(), NUDGE);
  }

  /** Make an action of a box that was changed. */
  #settle() {
    clearTimeout(this.nudging);
    const { nudged } = this;
    this.nudged = null;
    const known = nudged && this.desk.state(this.key).faces.find(({ id }) => id === nudged.id);
    if (known && String(known.box) !== String(rounded(nudged.box))) this.desk.act(this.key, "move", { face: nudged.id, box: rounded(nudged.box) });
  }

  #drawing(yes) {
    this.find("[data-do=draw]").setAttribute("aria-pressed", yes);
    if (yes) this.say("Drag over the face. Enter: a box in the middle. Escape: none.");
  }

  // Photos

  enter() {
    if (this.stage.drawing) this.stage.drawInMiddle();
    else if (this.desk.adjudicates || this.desk.state(this.key)?.complete) this.#nextOpen();
    else this.complete();
  }

  async complete() {
    const state = this.desk.state(this.key);
    if (!state || this.desk.adjudicates) return;
    if (this.item.error) return this.#nextOpen();
    if (state.pending) return this.say("The detector has not looked at this photo yet: a moment.");
    const left = this.faces.filter(({ label }) => !label);
    if (!state.complete && left.length && !(await this.#insists(left.length))) return this.select(left[0].id);
    this.#act("complete", { complete: !state.complete });
    if (state.complete) this.say("The photo is open again.");
    else this.#nextOpen("Complete. ");
  }

  async #insists(left) {
    const dialog = this.find(".unfinished");
    dialog.querySelector("p").textContent = `${count(left, "face")} of this photo ${left === 1 ? "has" : "have"} no label. Until each has one (0: unsure, 9: not a face), the photo is written as not complete.`;
    dialog.returnValue = "";
    dialog.showModal();
    await new Promise((done) => dialog.addEventListener("close", done, { once: true }));
    return dialog.returnValue === "complete";
  }

  /** Go to the next photo with something to do, round the end of the list. */
  #nextOpen(before = "") {
    const { keys } = this.list;
    const here = keys.indexOf(this.key);
    const next = [...keys.slice(here + 1), ...keys.slice(0, here)].find((key) => this.#open(key));
    if (!next) return this.say(`${before}Nothing is left to do among the photos shown.`);
    this.go(next);
    this.say(`${before}${this.item.name}, ${count(this.item.faces, "face")}.`);
  }

  /** Whether there is something to do on a photo. */
  #open(key) {
    const item = this.desk.item(key);
    if (this.desk.adjudicates) return item.disagree > 0;
    return !item.error && !(this.desk.state(key) ?? item).complete;
  }

  #picked(key) {
    if (!wide()) this.#showList(false);
    this.go(key);
  }

  // Undo

  undo() {
    this.#settle();
    this.desk.undo();
  }

  redo() {
    this.#settle();
    this.desk.redo();
  }

  #undone({ key, faces, verb }) {
    const word = verb === "undo" ? "Undone" : "Redone";
    if (!key) return this.say(`There is nothing to ${verb}.`);
    if (key !== this.key) this.go(key, faces[0]);
    else if (faces[0]) this.select(faces[0]);
    this.render();
    const { face } = this;
    this.say(`${word}${face && faces.length ? `: face ${this.faces.indexOf(face) + 1}, ${told(face)}` : ""}.`);
  }

  #act(kind, body) {
    this.#settle();
    this.desk.act(this.key, kind, body);
  }

  // Dialogs and switches

  show(name) {
    this.find(`dialog.${name}`).showModal();
  }

  escape() {
    if (this.stage.drawing) this.stage.draw(false);
    this.panel.second(false);
  }

  async #agreement() {
    const place = this.find("dialog.agreement .figures");
    place.replaceChildren("...");
    this.show("agreement");
    try {
      place.replaceChildren(...agreementFigures(await this.desk.ask({ do: "agreement" })));
    } catch (error) {
      place.replaceChildren(error.message);
    }
  }

  async #export() {
    try {
      const { path, faces, photos } = await this.desk.ask({ do: "export" });
      this.say(path ? `${count(faces, "face")} of ${count(photos, "photo")} written to ${path}.` : "No label to write yet.");
    } catch (error) {
      this.alarm(error.message);
    }
  }

  async #guess() {
    const { key } = this;
    if (this.find("[name=guess]").checked && !this.guesses.has(key)) {
      try {
        this.guesses.set(key, (await this.desk.ask({ do: "guess", photo: this.item.id })).guesses);
      } catch (error) {
        this.say(error.message);
      }
    }
    this.render();
  }

  #theme(theme) {
    this.theme = theme;
    this.root.dataset.theme = theme;
    localStorage.setItem("groupemo-theme", theme);
    this.find("[data-do=theme]").textContent = `Colors: ${theme}`;
  }

  #rename() {
    this.#settle();
    sessionStorage.removeItem("groupemo-annotator");
    this.restart();
  }

  #showList(yes) {
    this.find(".list").hidden = !yes;
    this.find("[data-do=list]").setAttribute("aria-expanded", yes);
    if (yes) this.list.reveal();
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
    const { faces } = this;
    if (!this.face && faces.length) {
      const open = faces.slice(this.place).find(({ label }) => !label);
      this.faceId = (open ?? faces.find(({ label }) => !label) ?? faces[Math.min(this.place, faces.length - 1)]).id;
    }
    const { face, item } = this;
    const named = faces.map((one, index) => ({ ...one, name: `Face ${index + 1} of ${faces.length}, ${told(one)}`, tag: one.label ? nameOf(one.label) : "" }));
    this.stage.render(named, this.faceId);
    this.panel.render({
      item,
      face,
      rough: Boolean(this.nudged),
      answer: face && this.#prepared(face),
      place: [faces.indexOf(face) + 1, faces.length],
      state: this.desk.state(this.key),
      guess: this.find("[name=guess]").checked ? this.guesses.get(this.key)?.[this.faceId] : null,
      adjudicates: this.desk.adjudicates,
    });
    this.list.render(this.desk.items, this.key);
    this.#bar();
  }

  #bar() {
    const { item, desk } = this;
    const { labelled, faces, minutes_left: left } = desk.progress;
    const place = [...desk.items.keys()].indexOf(this.key) + 1;
    this.find(".photo-name").textContent = item.name;
    this.find(".photo-place").textContent = `${place} of ${desk.items.size.toLocaleString("en")}${item.again ? ", again" : ""}`;
    Object.assign(this.find("progress"), { max: Math.max(1, faces), value: labelled });
    const minutes = left === null ? "" : left < 1 ? ", less than a minute left" : `, about ${count(Math.round(left), "minute")} left`;
    this.find(".progress-text").textContent = `${labelled.toLocaleString("en")} of ${count(faces, desk.adjudicates ? "disagreement" : "face")}${minutes}`;
    const { waiting } = desk.outbox;
    this.find("[data-do=undo]").disabled = !desk.history.undo && !waiting.length;
    this.find("[data-do=redo]").disabled = !desk.history.redo;
    this.#saved(waiting.length, desk.outbox.trouble);
  }

  #saved(waiting, trouble) {
    const place = this.find(".saved");
    const state = trouble ? "trouble" : waiting || this.nudged ? "saving" : "saved";
    const text = { trouble: `not saved: ${trouble?.message}, ${waiting} waiting`, saving: "saving ...", saved: "saved" }[state];
    if (place.textContent !== text) place.textContent = text;
    if (state === "trouble" && place.dataset.state !== "trouble") this.say(`Not saved: ${trouble.message}. Go on: it is kept here, and sent as soon as it can be.`);
    place.dataset.state = state;
  }
}

const wide = () => matchMedia("(min-width: 80rem)").matches;

function rounded(box) {
  return box.map((value) => Math.round(value * 10) / 10);
}
