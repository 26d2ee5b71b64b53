// The photo with its boxes: zoom, pan, select, draw, move, resize, by mouse, touch and pen.

import { element } from "./element.js";
import {
  around,
  between,
  fit,
  moved,
  resized,
  reveal,
  settle,
  toPhoto,
  toStage,
  zoom,
} from "./geometry.js";
import { sideFor } from "./pictures.js";

const EDGES = ["nw", "n", "ne", "e", "se", "s", "sw", "w"];
const STILL = 4; // CSS pixels a pointer may tremble in a click
const STEP = 1.3; // of a zoom by key or button

export class Stage {
  /** `on`: select(face), adjust(face, box, done), add(box), drawing(yes). */
  constructor(root, pictures, on) {
    Object.assign(this, {
      root,
      pictures,
      on,
      item: null,
      view: null,
      faces: [],
      drawing: false,
      space: false,
    });
    this.canvas = root.querySelector("canvas");
    this.boxes = root.querySelector(".boxes");
    this.grips = root.querySelector(".grips");
    this.sketch = root.querySelector(".sketch");
    this.grips.append(...EDGES.map((edge) => element("i", { dataset: { edge } })));
    this.buttons = new Map();
    this.pointers = new Map();
    root.addEventListener("pointerdown", (event) => this.#down(event));
    root.addEventListener("pointermove", (event) => this.#move(event));
    root.addEventListener("pointerup", (event) => this.#up(event));
    root.addEventListener("pointercancel", (event) => this.#up(event, true));
    root.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    root.addEventListener("mousedown", (event) => event.preventDefault());
    new ResizeObserver(() => this.#resize()).observe(root);
  }

  get size() {
    return [this.root.clientWidth, this.root.clientHeight];
  }

  get photo() {
    return [this.item.width, this.item.height];
  }

  /** Show another photo, whole, or none where it cannot be shown. Resolves when it is drawn. */
  async open(item) {
    Object.assign(this, { item: item.error ? null : item, view: null, gesture: null });
    this.draw(false);
    this.#fill(null);
    this.fit();
    await this.paint();
  }

  /**
   * Faces in the order they are numbered, each with `name` (said) and `tag` (shown); `drawable`:
   * whether boxes may be changed.
   */
  render(faces, selected, drawable) {
    const buttons = new Map();
    for (const face of faces) {
      const button = this.buttons.get(face.id) ?? this.#button(face.id);
      button.setAttribute("aria-label", face.name);
      button.setAttribute("aria-pressed", face.id === selected);
      button.dataset.label = face.label ?? "";
      button.firstChild.textContent = face.tag;
      buttons.set(face.id, button);
    }
    const order = [...buttons.values()];
    const same =
      order.length === this.boxes.children.length &&
      order.every((one, i) => one === this.boxes.children[i]);
    if (!same) this.boxes.replaceChildren(...order);
    Object.assign(this, { buttons, faces, selected, drawable });
    this.#place();
  }

  /** Bring a face into view, and let the keyboard's focus follow if it is among the boxes. */
  reveal({ id, box }) {
    if (!this.item) return;
    this.#look(reveal(this.view, box, this.photo, this.size));
    if (this.boxes.contains(this.root.getRootNode().activeElement))
      this.buttons.get(id)?.focus({ preventScroll: true });
  }

  fit() {
    if (!this.item) return;
    this.#look(fit(this.photo, this.size));
  }

  /** Zoom in (1) or out (-1) about the present face, or about the middle. */
  zoom(direction) {
    if (!this.item) return;
    const face = this.faces.find(({ id }) => id === this.selected);
    const [x1, y1, x2, y2] = face ? toStage(this.view, face.box) : [0, 0, ...this.size];
    this.#zoom(STEP ** (2 * direction), [(x1 + x2) / 2, (y1 + y2) / 2]);
  }

  /** Begin or end the drawing of a box. */
  draw(yes) {
    this.drawing = yes;
    this.root.classList.toggle("drawing", yes);
    this.sketch.hidden = true;
    this.on.drawing(yes);
  }

  /** Put a box of the usual size in the middle of what is seen. */
  drawInMiddle() {
    this.#drawAt(this.size.map((side) => side / 2));
  }

  /** Whether the space key is held: any drag pans. */
  hold(space) {
    this.space = space;
    this.root.classList.toggle("panning", space);
  }

  #button(id) {
    const select = (event) => event.detail === 0 && this.on.select(id);
    return element(
      "button",
      {
        type: "button",
        className: "box",
        dataset: { face: id },
        onclick: select,
        onfocus: () => this.on.select(id),
      },
      element("span"),
    );
  }

  #drawAt(point) {
    const boxes = this.faces.map(({ box }) => box);
    this.on.add(around(toPhoto(this.view, point), boxes, this.photo));
    this.draw(false);
  }

  #look(view) {
    this.view = view;
    this.whole = view.scale <= fit(this.photo, this.size).scale * 1.001;
    this.#place();
  }

  #zoom(factor, at) {
    this.#look(zoom(this.view, factor, at, this.photo, this.size));
    clearTimeout(this.sharpening);
    this.sharpening = setTimeout(() => this.#repaint(), 200);
  }

  #resize() {
    if (!this.item) return;
    this.#look(this.whole ? fit(this.photo, this.size) : settle(this.view, this.photo, this.size));
    this.#repaint();
  }

  #place() {
    if (!this.view) return;
    const { scale, x, y } = this.view;
    const [width, height] = this.photo;
    const stretch = [(width * scale) / this.canvas.width, (height * scale) / this.canvas.height];
    this.canvas.style.transform = `translate(${x}px, ${y}px) scale(${stretch})`;
    for (const face of this.faces) {
      const button = this.buttons.get(face.id);
      const [wide, high] = put(button, toStage(this.view, face.box));
      button.classList.toggle("narrow", wide < 60);
      button.style.zIndex = Math.round(1e6 / (1 + wide * high)); // small ones are not covered
    }
    const face = this.faces.find(({ id }) => id === this.selected);
    this.grips.hidden = !face || !this.drawable;
    if (!face) return;
    const size = put(this.grips, toStage(this.view, face.box));
    this.grips.classList.toggle("small", Math.min(...size) < 80);
  }

  /** Paint again; a failure was told when the photo was opened. */
  #repaint() {
    this.paint().catch(() => {});
  }

  /** Draw the picture, sharp enough for the present zoom; throws where it cannot be had. */
  async paint() {
    const { item } = this;
    if (!item) return;
    const scale = Math.max(this.view.scale, fit(this.photo, this.size).scale) * devicePixelRatio;
    const side = sideFor(Math.max(...this.photo) * scale, Math.max(...this.photo));
    const entry = this.pictures.photo(item.id, side);
    const bitmap = entry.bitmap ?? (await entry.promise);
    if (this.item === item) this.#fill(bitmap);
  }

  #fill(bitmap) {
    if (bitmap && this.bitmap === bitmap) return;
    this.bitmap = bitmap;
    this.canvas.width = bitmap?.width ?? 1;
    this.canvas.height = bitmap?.height ?? 1;
    if (bitmap) this.canvas.getContext("2d").drawImage(bitmap, 0, 0);
    this.#place();
  }

  #at(event) {
    const { left, top } = this.root.getBoundingClientRect();
    return [event.clientX - left - this.root.clientLeft, event.clientY - top - this.root.clientTop];
  }

  #down(event) {
    if (!this.item || event.button > 1) return;
    this.root.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, this.#at(event));
    const points = [...this.pointers.values()];
    this.gesture =
      points.length === 1 ? this.#gesture(event) : { kind: "pinch", points, view: this.view };
  }

  /** What a drag from here does. */
  #gesture(event) {
    const { edge } = event.target.dataset;
    const id = edge ? this.selected : event.target.closest(".box")?.dataset.face;
    const face = this.faces.find((one) => one.id === id);
    const pan = this.space || event.button === 1;
    const kind = pan ? "pan" : this.#meant(edge, face);
    return { kind, edge, face, start: this.#at(event), view: this.view, still: true, click: !pan };
  }

  #meant(edge, face) {
    if (this.drawing) return "draw";
    if (edge) return "resize";
    return this.drawable && face && face.id === this.selected ? "move" : "pan";
  }

  #move(event) {
    if (!this.pointers.has(event.pointerId)) return;
    this.pointers.set(event.pointerId, this.#at(event));
    if (this.gesture?.kind === "pinch") this.#pinch(this.gesture, [...this.pointers.values()]);
    else if (this.gesture) this.#drag(this.gesture, this.#at(event));
  }

  #drag(gesture, [x, y]) {
    const [dx, dy] = [x - gesture.start[0], y - gesture.start[1]];
    if (gesture.still && Math.hypot(dx, dy) < STILL) return;
    gesture.still = false;
    const { kind, view, face, edge } = gesture;
    if (kind === "pan")
      this.#look(settle({ ...view, x: view.x + dx, y: view.y + dy }, this.photo, this.size));
    if (kind === "draw") {
      gesture.box = between(toPhoto(view, gesture.start), toPhoto(view, [x, y]), this.photo);
      this.sketch.hidden = !gesture.box;
      if (gesture.box) put(this.sketch, toStage(view, gesture.box));
    }
    if (kind !== "move" && kind !== "resize") return;
    const shift = [dx / view.scale, dy / view.scale];
    gesture.box =
      kind === "move"
        ? moved(face.box, ...shift, this.photo)
        : resized(face.box, edge, ...shift, this.photo);
    this.on.adjust(face.id, gesture.box, false);
  }

  #pinch({ points, view }, now) {
    const middle = ([a, b]) => [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2];
    const apart = ([a, b]) => Math.max(1, Math.hypot(a[0] - b[0], a[1] - b[1]));
    const [from, to] = [middle(points), middle(now)];
    this.view = { ...view, x: view.x + to[0] - from[0], y: view.y + to[1] - from[1] };
    this.#zoom(apart(now) / apart(points), to);
  }

  #up(event, canceled = false) {
    if (!this.pointers.delete(event.pointerId)) return;
    const { gesture } = this;
    this.gesture = null;
    if (!gesture) return;
    const { kind, face, box, still, click, start } = gesture;
    if (kind === "move" || kind === "resize") {
      if (box) this.on.adjust(face.id, canceled ? face.box : box, true);
    } else if (kind === "draw" && !canceled) {
      if (still) this.#drawAt(start);
      else if (box) this.#drawn(box);
    } else if (still && click && face) {
      this.on.select(face.id);
      this.buttons.get(face.id).focus({ preventScroll: true });
    }
  }

  #drawn(box) {
    this.on.add(box);
    this.draw(false);
  }

  #wheel(event) {
    if (!this.item) return;
    event.preventDefault();
    const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 16 : 1;
    const speed = event.ctrlKey ? 0.01 : 0.002;
    this.#zoom(Math.exp(-event.deltaY * lines * speed), this.#at(event));
  }
}

/** Place an element over a box of the stage; returns its [width, height]. */
function put(target, [x1, y1, x2, y2]) {
  Object.assign(target.style, {
    transform: `translate(${x1}px, ${y1}px)`,
    width: `${x2 - x1}px`,
    height: `${y2 - y1}px`,
  });
  return [x2 - x1, y2 - y1];
}
