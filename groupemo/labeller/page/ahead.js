// What will be looked at next is fetched before it is needed.

import { readingOrder } from "./geometry.js";

const FACES = 4;
const PHOTOS = 2;
const FIRST_FACES = 2; // of each of those photos

/** Fetch the next faces of this photo, and the photos that follow in `keys`. */
export async function fetchAhead(cursor, keys, pictures) {
  const { key, item, desk } = cursor;
  const boxesOf = (faces) => faces.map(({ box }) => box);
  if (!item.error) {
    pictures.prepare(item.id, boxesOf(cursor.unlabelled.slice(0, FACES)));
    await pictures.photo(item.id).promise.catch(() => {});
  }
  const here = keys.indexOf(key) + 1;
  for (const next of keys.slice(here, here + PHOTOS)) {
    if (desk.item(next).error || cursor.key !== key) continue;
    if (!desk.state(next)) await desk.load(next).catch(() => {});
    const faces = desk.state(next)?.faces ?? [];
    const first = readingOrder(faces).slice(0, FIRST_FACES);
    pictures.prepare(desk.item(next).id, boxesOf(faces.filter(({ id }) => first.includes(id))));
  }
}
