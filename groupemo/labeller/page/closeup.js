// A face enlarged: at once from the photo that is here, and sharp as soon as that is here.

import { seen } from "./pictures.js";

const OUTLINES = [
  { strokeStyle: "#000a", lineWidth: 4 },
  { strokeStyle: "#fff", lineWidth: 1.5 },
];

export class CloseUp {
  constructor(canvas, pictures) {
    Object.assign(this, { canvas, pictures, pen: canvas.getContext("2d"), shown: null });
  }

  /** Show a face of a photo, or nothing; `changing`: its box is, so do not fetch it yet. */
  show(item, face, changing) {
    const wanted = face && `${item.id} ${face.box} ${changing}`;
    if (wanted === this.shown) return;
    this.shown = wanted;
    this.#clear();
    if (!face) return;
    const photo = this.pictures.photo(item.id).bitmap;
    const sharp = changing ? null : this.pictures.face(item.id, face.box);
    if (sharp?.bitmap) this.#drawSharp(sharp.bitmap, item, face);
    else if (photo) this.#drawRough(photo, item, face);
    if (!sharp || sharp.bitmap) return;
    const late = (bitmap) => this.shown === wanted && this.#drawSharp(bitmap, item, face);
    sharp.promise.then(late, () => {});
  }

  /** Fetch what is not sharp again, at the next `show`. */
  again() {
    if (this.canvas.dataset.sharp !== "true") this.shown = null;
  }

  #clear() {
    this.pen.clearRect(0, 0, this.canvas.width, this.canvas.height);
    delete this.canvas.dataset.face;
    delete this.canvas.dataset.sharp;
  }

  /** From the enlargement. */
  #drawSharp(bitmap, item, face) {
    this.#draw(bitmap, [0, 0, bitmap.width, bitmap.height], item, face);
    this.canvas.dataset.sharp = true;
  }

  /** From the whole photo. */
  #drawRough(bitmap, item, face) {
    const [x1, y1, x2, y2] = seen(face.box, item).map(
      (value) => (value * bitmap.width) / item.width,
    );
    this.#draw(bitmap, [x1, y1, x2 - x1, y2 - y1], item, face);
    this.canvas.dataset.sharp = false;
  }

  /** Draw the part `source` of a bitmap, [left, top, width, height], which shows what is `seen`. */
  #draw(bitmap, source, item, { id, box }) {
    const side = this.canvas.width;
    const [width, height] = [box[2] - box[0], box[3] - box[1]];
    const scale = side / (2 * Math.max(width, height));
    const place = ([x1, y1, x2, y2]) => [
      side / 2 + (x1 - box[0] - width / 2) * scale,
      side / 2 + (y1 - box[1] - height / 2) * scale,
      (x2 - x1) * scale,
      (y2 - y1) * scale,
    ];
    this.#clear();
    this.pen.drawImage(bitmap, ...source, ...place(seen(box, item)));
    for (const outline of OUTLINES) {
      Object.assign(this.pen, outline);
      this.pen.strokeRect(...place(box));
    }
    this.canvas.dataset.face = id;
  }
}
