// Photos and enlarged faces as bitmaps, fetched before they are needed.

const FACE_SIDE = 384;
const PHOTO_SIDE = 2048;
const ROOM = { photos: 5, faces: 80 };

/** Remembers what was made last; a failure is not remembered, and `onfail(error)` hears of it. */
class Shelf {
  constructor(room, onfail) {
    Object.assign(this, { room, onfail });
    this.kept = new Map();
  }

  get(key, make) {
    const entry = this.kept.get(key) ?? this.#make(key, make);
    this.kept.delete(key);
    this.kept.set(key, entry);
    return entry;
  }

  #make(key, make) {
    const entry = { bitmap: null, promise: make() };
    entry.promise.then(
      (bitmap) => (entry.bitmap = bitmap),
      (error) => {
        this.kept.delete(key);
        this.onfail(error);
      },
    );
    while (this.kept.size >= this.room) this.kept.delete(this.kept.keys().next().value);
    return entry;
  }
}

export class Pictures {
  constructor(transport) {
    this.transport = transport;
    this.lost = false; // whether a picture did not come that would, if it were asked for again
    const onfail = ({ refused }) => (this.lost ||= !refused);
    this.photos = new Shelf(ROOM.photos, onfail);
    this.faces = new Shelf(ROOM.faces, onfail);
  }

  /** {bitmap (null until it is here), promise} of a photo, `side` a power of two. */
  photo(id, side = PHOTO_SIDE) {
    return this.photos.get(`${id} ${side}`, () => this.transport.picture(id, side));
  }

  /** The same of a face: what `seen` shows of it. */
  face(id, box) {
    return this.faces.get(`${id} ${box.join(" ")}`, () => this.transport.face(id, box, FACE_SIDE));
  }

  /** Fetch, and do not mind failures: they are told when the picture is asked for. */
  prepare(id, boxes) {
    this.photo(id).promise.catch(() => {});
    for (const box of boxes) this.face(id, box).promise.catch(() => {});
  }
}

/** What an enlargement shows: the box and half of it on each side, as far as the photo reaches. */
export function seen([x1, y1, x2, y2], { width, height }) {
  const [w, h] = [(x2 - x1) / 2, (y2 - y1) / 2];
  return [
    Math.max(0, x1 - w),
    Math.max(0, y1 - h),
    Math.min(width, x2 + w),
    Math.min(height, y2 + h),
  ];
}

/** The side, in steps that are cached well, at which a photo is sharp on `pixels` screen pixels. */
export function sideFor(pixels, longest) {
  const side = 2 ** Math.ceil(Math.log2(Math.max(pixels, PHOTO_SIDE)));
  return Math.min(side, 2 ** Math.ceil(Math.log2(Math.max(longest, PHOTO_SIDE))), 8192);
}
